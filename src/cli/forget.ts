import type { Ledger } from '../inbox/inbox.ts'
import type { Results } from '../results/results.ts'

type ForgetDeps = { readonly ledger: Pick<Ledger, 'get' | 'erase'>; readonly results: Pick<Results, 'remove'> }

/**
 * Forgets a job: result, metadata and bodies. Resolves to null when all of it is gone, else to what is to be told. The files
 * go first, so that what the inbox calls erased is; and once more after it, since a worker may have saved some in between.
 */
export async function forget(jobId: string, { ledger, results }: ForgetDeps): Promise<string | null> {
  const { signal } = new AbortController()
  const removeFiles = () =>
    results.remove(jobId, signal).then(
      () => null,
      (error: Error) => `${jobId} is not forgotten: its files could not be removed (${error.message}); delete it again`,
    )

  const job = await ledger.get(jobId)
  if (job === null) return unknown(jobId)
  if (job.isRunning) return `${jobId} is being worked on: try again in a moment`
  const kept = await removeFiles()
  if (kept !== null) return kept
  switch (await ledger.erase(jobId)) {
    case 'erased':
      return removeFiles()
    case 'running':
      return `${jobId} is not forgotten: it is being worked on, which may save again the files that were removed; delete it again in a moment`
    case 'unknown':
      return unknown(jobId)
  }
}

function unknown(jobId: string): string {
  return `there is no job ${jobId}`
}
