import type { JobRow, Ledger } from '../inbox/inbox.ts'
import { ERASED } from '../job.ts'
import type { Results } from '../results/results.ts'
import { type ActingDeps, noteAction } from './acting.ts'
import { deliveriesLike, type EraseDeliveriesDeps, eraseDeliveries } from './erase-deliveries.ts'
import { type Refusal, refuse, type Skipped } from './refusal.ts'
import type { BulkResult } from './requeue.ts'
import { type Bulk, MAX_BULK, type SelectDeps, selectJobs } from './select.ts'

export type EraseDeps = {
  readonly ledger: Pick<Ledger, 'get' | 'erase'>
  readonly results: Pick<Results, 'remove'>
}

/** `deliveries`: bodies of deliveries without a job that had the same metadata, and went too. */
export type EraseResult = BulkResult & { readonly deliveries: number }

/**
 * Erases jobs: result, metadata and bodies. Their ids stay, so that no repeated delivery brings them back. By a person's
 * metadata it also erases what came of that person and was not understood. `expect` is for both together.
 */
export async function eraseJobs(
  deps: EraseDeps & SelectDeps & EraseDeliveriesDeps,
  bulk: Bulk,
  signal: AbortSignal,
): Promise<EraseResult | Refusal> {
  // By their ids erased jobs are erased again: files may have been left.
  const whyNot = (job: JobRow) => ('filter' in bulk && job.reason?.code === ERASED.code ? 'was erased already' : null)
  const { expect, ...unbound } = bulk
  const selected = await selectJobs(deps, unbound, whyNot)
  if (selected.is === 'refused') return selected
  const { ids, named, until } = selected
  const { dryRun = false, onSearched = () => {} } = bulk
  const skipped: Skipped[] = [...selected.skipped]
  const filter = 'filter' in bulk ? bulk.filter : null
  // One more than may be erased says that there are more.
  const like = filter && (await deliveriesLike(deps, { ...filter, until }, { max: MAX_BULK + 1, onSearched }))
  const deliveryIds = like?.slice(0, MAX_BULK) ?? []
  const isMore = selected.isMore || (like?.length ?? 0) > MAX_BULK
  const count = ids.length + deliveryIds.length
  if (expect !== undefined && (isMore || count > expect)) return changed(ids.length, deliveryIds.length, isMore, expect)
  const action = dryRun ? undefined : await noteAction(deps, { what: 'erase', filter, ids })
  for (const [index, id] of dryRun ? [] : ids.entries()) {
    const isBound = 'filter' in bulk || bulk.until !== undefined
    const failure =
      (isBound ? await changedSince(deps, id, until) : null) ?? (await eraseJob(deps, id, signal, async () => action))
    if (failure !== null) skipped.push({ id, why: failure.why })
    bulk.onProgress?.(index + 1, ids.length)
  }
  const failed = skipped.length - selected.skipped.length
  const deliveries = dryRun ? deliveryIds.length : await eraseDeliveries(deps, filter, deliveryIds)
  return { is: 'done', jobs: ids.length - failed, dryRun, ids, named, skipped, until, isMore, deliveries }
}

function changed(jobs: number, deliveries: number, isMore: boolean, expected: number): Refusal {
  const others = deliveries > 0 ? ` and ${deliveries} deliveries without a job` : ''
  const found = isMore ? `more than ${MAX_BULK} jobs` : `${jobs} jobs${others}`
  return refuse(
    'changed',
    `${found} match, not ${expected}${deliveries > 0 ? ' in all' : ''}: look at them again with a dry run; nothing was done`,
    {
      count: jobs + deliveries,
    },
  )
}

/** Many take a while: a job that somebody queued again meanwhile is no longer what was shown. */
async function changedSince(
  { ledger }: EraseDeps,
  id: string,
  until: number,
): Promise<{ readonly why: string } | null> {
  const job = await ledger.get(id)
  return job !== null && job.updatedAt > until ? { why: 'is not erased: it changed after it was selected' } : null
}

/** Erases the job with exactly this id, as an action of its own. */
export async function eraseOneJob(
  deps: EraseDeps & ActingDeps,
  jobId: string,
  signal: AbortSignal,
): Promise<EraseFailure | null> {
  return eraseJob(deps, jobId, signal, () => noteAction(deps, { what: 'erase', filter: null, ids: [jobId] }))
}

/** Why a job is not, or not wholly, erased. `results`: the store of results failed. */
export type EraseFailure = { readonly code: 'unknown' | 'running' | 'results'; readonly why: string }

/**
 * Erases one job. Resolves to null when all of it is gone, else to why not. The files go first, so that what the inbox calls
 * erased is; and once more after it, since a worker may have saved some in between. `begin` is called when it begins, and
 * gives the number of the action.
 */
export async function eraseJob(
  { ledger, results }: EraseDeps,
  jobId: string,
  signal: AbortSignal,
  begin: () => Promise<number | undefined> = async () => undefined,
): Promise<EraseFailure | null> {
  const removeFiles = (): Promise<EraseFailure | null> =>
    results.remove(jobId, signal).then(
      () => null,
      (error: Error) => ({
        code: 'results',
        why: `is not erased: its files could not be removed (${error.message}); delete it again`,
      }),
    )

  const job = await ledger.get(jobId)
  if (job === null) return UNKNOWN
  if (job.isRunning) return { code: 'running', why: 'is being worked on: try again in a moment' }
  const action = await begin()
  const kept = await removeFiles()
  if (kept !== null) return kept
  switch (await ledger.erase(jobId, action)) {
    case 'erased':
      return removeFiles()
    case 'running':
      return {
        code: 'running',
        why: 'is not erased: it is being worked on, which may save again the files that were removed; delete it again in a moment',
      }
    case 'unknown':
      return UNKNOWN
  }
}

const UNKNOWN: EraseFailure = { code: 'unknown', why: 'there is no such job' }
