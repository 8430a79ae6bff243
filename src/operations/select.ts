import type { JobFilter, JobRow, Ledger } from '../inbox/inbox.ts'
import { ERASED } from '../job.ts'
import { resolveIds } from './ids.ts'
import { type Refusal, refuse, type Skipped } from './refusal.ts'
import { allJobs, type OnSearched } from './walk.ts'

/** Which jobs an operation is for: these ids (or the starts of them), or all that match. Never all by accident. */
type Which =
  | {
      readonly ids: readonly string[]
      /** Each is a whole id, and not the start of one. */
      readonly isExact?: boolean
    }
  | { readonly filter: JobFilter }

/** How many jobs one call takes at most: what is left is taken by the next one. */
export const MAX_BULK = 100_000
/** Jobs that a dry run names. */
const MAX_NAMED = 10
/** Ids that are looked up in one request. */
const IDS_A_REQUEST = 500

export type Bulk = Which & {
  /** Does nothing but say what would be done. */
  readonly dryRun?: boolean
  /** Only jobs whose last activity was at this time (ms) or earlier: those that a dry run showed. */
  readonly until?: number
  /** Refused when more jobs than this match. */
  readonly expect?: number
  readonly onSearched?: OnSearched
  /** How many of how many are done, after each part. A call that is broken off is taken up by another one. */
  readonly onProgress?: (done: number, total: number) => void
}

/** What a bulk operation is for. `until` bounds a later call to these jobs, ms. */
export type Selected = {
  readonly is: 'selected'
  readonly ids: readonly string[]
  /** The first `MAX_NAMED` of them. */
  readonly named: readonly JobRow[]
  readonly skipped: readonly Skipped[]
  readonly until: number
  /** What a selected job must still match when something is done with it. */
  readonly bound: JobFilter
  /** More than `MAX_BULK` match: the rest has to wait for another call. */
  readonly isMore: boolean
}

export type SelectDeps = { readonly ledger: Pick<Ledger, 'list' | 'idsFrom'>; readonly now: () => number }

/**
 * The jobs that `bulk` names, of those that `whyNot` has nothing against. What it says of jobs that were named by their ids
 * is told; of those that only match, it takes them out.
 */
export async function selectJobs(
  { ledger, now }: SelectDeps,
  bulk: Bulk,
  whyNot: (job: JobRow) => string | null,
): Promise<Selected | Refusal> {
  // A bound in the future would take jobs that change after they were shown.
  const until = Math.min(bulk.until ?? Number.POSITIVE_INFINITY, now())
  const found =
    'ids' in bulk ? await named(ledger, bulk.ids, bulk, bulk.isExact ?? false) : matching(ledger, bulk, until)
  const [ids, shown, skipped]: [string[], JobRow[], Skipped[]] = [
    [],
    [],
    [...('skipped' in found ? found.skipped : [])],
  ]
  let isMore = false
  for await (const job of 'rows' in found ? found.rows : found) {
    const why = whyNot(job)
    if (why === null && ids.length === MAX_BULK) isMore = true
    if (isMore) break
    if (why === null) {
      ids.push(job.jobId)
      if (shown.length < MAX_NAMED) shown.push(job)
    } else if ('ids' in bulk) skipped.push({ id: job.jobId, why })
  }
  if (bulk.expect !== undefined && (isMore || ids.length > bulk.expect)) {
    const count = isMore ? `more than ${MAX_BULK}` : String(ids.length)
    return refuse(
      'changed',
      `${count} jobs match, not ${bulk.expect}: look at them again with a dry run; nothing was done`,
      { count: ids.length },
    )
  }
  const bound = 'filter' in bulk ? { ...bulk.filter, until } : bulk.until === undefined ? {} : { until }
  return { is: 'selected', ids, named: shown, skipped, until, bound, isMore }
}

async function named(
  ledger: SelectDeps['ledger'],
  given: readonly string[],
  { until }: Pick<Bulk, 'until'>,
  isExact: boolean,
) {
  const { ids, skipped } = isExact ? { ids: [...new Set(given)], skipped: [] } : await resolveIds(ledger, 'job', given)
  const rows: JobRow[] = []
  for (let at = 0; at < ids.length; at += IDS_A_REQUEST) {
    const jobIds = ids.slice(at, at + IDS_A_REQUEST)
    const page = await ledger.list({ jobIds, ...(until === undefined ? {} : { until }) }, { limit: jobIds.length })
    rows.push(...page.rows)
  }
  // In the order in which they were given.
  const place = new Map(ids.map((id, index) => [id, index]))
  rows.sort((a, b) => place.get(a.jobId)! - place.get(b.jobId)!)
  return { rows, skipped: isExact ? missing(ids, rows) : skipped }
}

function missing(ids: readonly string[], rows: readonly JobRow[]): readonly Skipped[] {
  const found = new Set(rows.map(({ jobId }) => jobId))
  const why = 'there is no such job, or it changed after this time'
  return ids.filter((id) => !found.has(id)).map((id) => ({ id, why }))
}

function matching(ledger: SelectDeps['ledger'], bulk: { filter: JobFilter } & Bulk, until: number) {
  return allJobs(ledger, { ...bulk.filter, until }, bulk.onSearched ?? (() => {}))
}

const NOT_REQUEUED = {
  erased: 'was erased, and cannot be queued again',
  running: 'is being worked on right now',
  expected: 'was submitted, and no delivery has announced its end yet',
} as const

/** What keeps a person from queueing this job again; null when nothing does. As `requeue` of the inbox has it. */
export function hindrance({ state, reason }: Pick<JobRow, 'state' | 'reason'>): keyof typeof NOT_REQUEUED | null {
  if (reason?.code === ERASED.code) return 'erased'
  return state === 'running' || state === 'expected' ? state : null
}

/** The same in words. */
export function whyNotRequeued(job: JobRow): string | null {
  const found = hindrance(job)
  return found && NOT_REQUEUED[found]
}
