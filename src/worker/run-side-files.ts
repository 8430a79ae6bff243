import type { FoundLink } from '../answer/scan-thread.ts'
import type { Claim } from '../inbox/inbox.ts'
import { ReductoError } from '../reducto/errors.ts'
import { linesOf } from '../results/lines.ts'
import type { FileEntry, JobRecord } from '../results/record.ts'
import { fetchAnswer } from './answer.ts'
import { createCollector } from './collect.ts'
import { ClaimLost } from './failures.ts'
import { createHosts } from './hosts.ts'
import type { FetchDeps } from './run-fetch.ts'
import { createBudget, createLinkSaver } from './save-link.ts'

/** What a try at missing side files came to. `again` null: there is nothing more to try. */
export type SideFilesResult = {
  readonly again: { readonly after: number } | null
  readonly record: JobRecord | null
  readonly error: unknown
  readonly calls: number
}

/**
 * Another try at the side files that a saved result lacks, with a fresh answer's links: whatever has come is added to the
 * result, and the record replaced. Never throws.
 */
export async function runSideFiles(claim: Claim, signal: AbortSignal, deps: FetchDeps): Promise<SideFilesResult> {
  let calls = 0

  async function ask(): Promise<readonly FoundLink[] | null> {
    calls++
    const { reading, warning } = await fetchAnswer(claim.jobId, deps, signal)
    return reading.status === 'Completed' && warning === null ? reading.links : null
  }

  async function attempt(): Promise<SideFilesResult> {
    const record = await deps.results.record(claim.jobId, signal)
    if (record === null || record.gave_up || record.complete) return over(record)
    const had = await entriesOf(record)
    const links = await ask()
    if (links === null) return over(record)
    const draft = await deps.results.draft(claim.jobId, claim.token, { signal, from: 'saved' })
    try {
      const hosts = createHosts()
      const budget = createBudget(deps.maxBytes, sizeOf(record, had))
      const saver = createLinkSaver({ draft, download: deps.download, scan: deps.scan, hosts, budget })
      // The saved answer says which links there are; a fresh one has their URLs.
      const known = new Set(had.filter((entry) => entry.in === record.job.path).map(({ pointer }) => pointer))
      const root = { path: record.job.path, links: links.filter(({ pointer }) => known.has(pointer)) }
      const collector = createCollector(
        { root, had, freshLinks: ask, signal },
        { draft, saver, hosts, clock: deps.clock },
      )
      await collector.run()
      const listed = await collector.list()
      if (listed.files.failed >= record.files.failed) {
        await draft.discard()
        return listed.isWorthRetrying ? { ...over(record), again: { after: hosts.longestRest } } : over(record)
      }
      signal.throwIfAborted()
      if ((await deps.lost([claim])).length > 0) throw new ClaimLost('the result is fetched anew')
      const reason = record.reason === null ? null : deps.scrub(record.reason)
      const { gave_up: _, ...result } = record
      const better = { ...result, reason, complete: listed.isComplete, files: listed.files }
      await draft.commit(better, { replace: true })
      const again = listed.isComplete || !listed.isWorthRetrying ? null : { after: hosts.longestRest }
      return { ...over(better), again }
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  async function entriesOf(record: JobRecord): Promise<readonly FileEntry[]> {
    const file = await deps.results.open(claim.jobId, record.files.path, signal)
    if (file === null) throw new Error(`the saved file ${record.files.path} is gone`)
    const entries: FileEntry[] = []
    for await (const line of linesOf(file.body)) entries.push(JSON.parse(line) as FileEntry)
    return entries
  }

  function over(record: JobRecord | null): SideFilesResult {
    return { again: null, record, error: null, calls }
  }

  try {
    return await attempt()
  } catch (error) {
    // Reducto has purged the job: nobody can have them any more.
    const isGone = error instanceof ReductoError && (error.kind === 'deleted' || error.kind === 'unknown_job')
    return { again: isGone ? null : { after: 0 }, record: null, error, calls }
  }
}

function sizeOf(record: JobRecord, entries: readonly FileEntry[]): number {
  return entries.reduce((sum, entry) => sum + ('path' in entry ? entry.bytes : 0), record.job.bytes)
}
