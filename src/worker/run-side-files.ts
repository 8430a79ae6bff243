import type { FoundLink } from '../answer/scan-thread.ts'
import type { Claim } from '../inbox/inbox.ts'
import type { Outcome } from '../job.ts'
import { linesOf } from '../results/lines.ts'
import { changedRecord, type FileEntry, type JobRecord } from '../results/record.ts'
import { fetchAnswer } from './answer.ts'
import type { SharedFailure } from './attempt.ts'
import { classify } from './classify.ts'
import { createCollector } from './collect.ts'
import { ClaimLost } from './failures.ts'
import { createHosts } from './hosts.ts'
import type { FetchDeps } from './run-fetch.ts'
import { createBudget, createLinkSaver } from './save-link.ts'

/** The result of an attempt at missing side files. `again` null: nothing more to try. */
export type SideFilesResult = {
  readonly again: { readonly after: number } | null
  /** The record as it is now; null when the attempt failed. */
  readonly record: JobRecord | null
  /** Why it failed; a `wait` is not the job's fault and spends no patience. */
  readonly outcome: Outcome | null
  readonly shared: SharedFailure | null
  readonly known: boolean
  readonly calls: number
  readonly blockedHosts: readonly string[]
  readonly reachedHosts: readonly string[]
}

/** Reducto's report that a job is unknown is believed once this much patience is spent, as for a fetch, ms. */
const GONE_CONFIRMED_AFTER_MS = 15 * 60_000

/**
 * Another attempt at the side files that a saved result lacks, with the links of a fresh answer. Downloaded files are
 * added to the result, and the record is replaced. Never throws.
 */
export async function runSideFiles(claim: Claim, signal: AbortSignal, deps: FetchDeps): Promise<SideFilesResult> {
  let calls = 0
  let known = false
  const hosts = createHosts()

  async function ask(): Promise<readonly FoundLink[] | null> {
    calls++
    const { reading, warning } = await fetchAnswer(claim.jobId, deps, signal)
    known = true
    return reading.status === 'Completed' && warning === null ? reading.links : null
  }

  async function attempt(): Promise<SideFilesResult> {
    const record = await deps.results.record(claim.jobId, signal)
    // A store may briefly fail to find a record. Any other record has no side files to wait for.
    if (record === null) return { ...over(record), again: { after: 0 } }
    if (record.gave_up || record.complete) return over(record)
    const had = await entriesOf(record)
    const links = await ask()
    if (links === null) return { ...over(record), again: { after: 0 } }
    const draft = await deps.results.draft(claim.jobId, claim.token, { signal, from: 'saved' })
    try {
      const budget = createBudget(deps.maxBytes, sizeOf(record, had))
      const saver = createLinkSaver({ draft, download: deps.download, scan: deps.scan, hosts, budget })
      // The saved answer determines which links there are; the fresh one has their URLs.
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
      const better = changedRecord(record, { reason, complete: listed.isComplete, files: listed.files })
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
    const seen = { known, calls, blockedHosts: [...hosts.blocked], reachedHosts: [...hosts.reached] }
    return { again: null, record, outcome: null, shared: null, ...seen }
  }

  try {
    return await attempt()
  } catch (error) {
    const { outcome, shared } = await classify(error, {
      probeAccount: () => deps.probeAccount(signal),
      resultsStoreIsHealthy: () => deps.results.check(signal).then(TRUE, FALSE),
      hasFallback: true,
    })
    // A file that Reducto has purged cannot be downloaded any more.
    const isOver = outcome.is === 'gone' && claim.sideFiles!.spent >= Math.min(outcome.confirm, GONE_CONFIRMED_AFTER_MS)
    const after = 'after' in outcome ? (outcome.after ?? 0) : 0
    return { ...over(null), outcome, shared, again: isOver ? null : { after } }
  }
}

const TRUE = () => true
const FALSE = () => false

function sizeOf(record: JobRecord, entries: readonly FileEntry[]): number {
  return entries.reduce((sum, entry) => sum + ('path' in entry ? entry.bytes : 0), record.job.bytes)
}
