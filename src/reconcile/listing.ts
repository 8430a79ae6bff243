import { UNSAID_ENDPOINT } from '../inbox/expected.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { ReductoError } from '../reducto/errors.ts'
import type { FetchStatus } from '../reducto/job-status.ts'
import { FINAL } from '../reducto/job-status.ts'
import type { ListedJob, ListJobs } from '../reducto/list-jobs.ts'

/** Jobs that one call lists; Reducto allows as many. */
const PAGE = 500
/** Pages of one reading: a million jobs. A listing that goes on and on is no listing. */
const MAX_PAGES = 2_000
/** A listing that changes while it is read can leave jobs out: it is read until nothing new is in it, so often at most. */
const MAX_READINGS = 3
/** Expected jobs that the listing does not name as ended, and that are asked for one by one. */
const MAX_ASKED = 2_000
/** After so many failed calls in a row Reducto fails, and not these jobs alone. */
const MAX_FAILURES = 5

export type ListingDeps = {
  readonly ledger: Pick<Ledger, 'list' | 'overdue' | 'missed'>
  readonly listJobs: ListJobs
  readonly fetchStatus: FetchStatus
  /** Jobs of the listing that were read so far. */
  readonly onRead?: (read: number) => void
}

/** `since`: registered, or created at Reducto, at this time (ms) or later. `all`: also jobs that nobody registered. */
export type ListingOptions = { readonly since: number; readonly all: boolean; readonly dryRun: boolean }

/**
 * `queued`: what ended without a webhook, or is unknown to Reducto; `processing`: how many expected jobs have not ended, and
 * `unfinished`: which; `incomplete`: why not all was seen.
 */
export type ListingResult = {
  readonly read: number
  readonly queued: readonly string[]
  readonly processing: number
  readonly unfinished: readonly string[]
  readonly incomplete: string | null
}

/**
 * Pages through the account's jobs and queues what ended without a webhook. The order of the listing is not relied on. An
 * expected job that it leaves out is asked for by its id. A call that fails once something was seen ends nothing: what was
 * queued is told, and why not all was seen.
 * @throws ReductoError when the first call fails
 */
export async function reconcileListing(
  { ledger, listJobs, fetchStatus, onRead = () => {} }: ListingDeps,
  { since, all, dryRun }: ListingOptions,
  signal: AbortSignal,
): Promise<ListingResult> {
  const open = new Set((await expectedJobs(ledger)).filter((job) => job.createdAt >= since).map(idOf))
  const queued: string[] = []
  const unfinished: string[] = []
  /** Expected jobs that the listing names as not ended, when it was read. */
  const listed = new Set<string>()
  const seen = new Set<string>()
  let incomplete: string | null = null
  let calls = 0

  async function queue(jobId: string, status: string | null): Promise<void> {
    open.delete(jobId)
    if (!dryRun && (await ledger.missed(jobId, { status, endpoint: UNSAID_ENDPOINT })) === 'known') return
    queued.push(jobId)
  }

  async function take(rows: readonly ListedJob[]): Promise<void> {
    const fresh = rows.filter(({ jobId, status }) => FINAL.has(status) && !seen.has(jobId))
    for (const { jobId } of fresh) seen.add(jobId)
    for (const { jobId, status } of rows) if (!FINAL.has(status) && open.has(jobId)) listed.add(jobId)
    const isRecent = ({ createdAt }: ListedJob) => createdAt === null || createdAt >= since
    const strangers = all ? fresh.filter((job) => !open.has(job.jobId) && isRecent(job)) : []
    const known = new Set(await knownAmong(ledger, strangers.map(idOf)))
    const unknown = new Set(strangers.map(idOf).filter((jobId) => !known.has(jobId)))
    for (const { jobId, status } of fresh) if (open.has(jobId) || unknown.has(jobId)) await queue(jobId, status)
  }

  /** A failed call as the reason why not all was seen. @throws ReductoError when nothing was */
  function told(error: unknown): string {
    if (calls === 0 || !(error instanceof ReductoError)) throw error
    return error.message
  }

  /** Asks for one by one, those first that the listing did not name at all. Resolves to why not all were asked for. */
  async function askOpen(): Promise<string | null> {
    const waiting = [...open].sort((a, b) => Number(listed.has(a)) - Number(listed.has(b)))
    let [failures, failed, last] = [0, 0, '']
    for (const jobId of waiting.slice(0, MAX_ASKED)) {
      const found = await fetchStatus(jobId, signal).catch((error) =>
        error instanceof ReductoError ? error : Promise.reject(error),
      )
      if (found instanceof ReductoError) {
        failed++
        last = `${jobId}: ${found.message}`
        if (found.kind === 'rate_limited' || ++failures === MAX_FAILURES)
          return `Reducto does not answer for expected jobs; the last: ${last}`
        continue
      }
      failures = 0
      if (found.is === 'processing') unfinished.push(jobId)
      else await queue(jobId, found.is === 'ended' ? found.status : null)
    }
    // The listing has just named these.
    unfinished.push(...waiting.slice(MAX_ASKED).filter((jobId) => listed.has(jobId)))
    if (failed > 0)
      return `Reducto has no answer for ${failed === 1 ? 'one expected job' : `${failed} expected jobs`}; the last: ${last}`
    const left = waiting.slice(MAX_ASKED).filter((jobId) => !listed.has(jobId)).length
    return left > 0 ? `${left} expected jobs more are not in the listing: run it again` : null
  }

  /** Reads the listing to its end, or until nothing is looked for any more. Resolves to why it did not come that far. */
  async function readOnce(): Promise<string | null> {
    const cursors = new Set<string>()
    let cursor: string | undefined
    for (let pages = 0; all || open.size > 0; pages++) {
      if (pages === MAX_PAGES) return `the listing has more than ${MAX_PAGES * PAGE} jobs`
      const page = await listJobs({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }, signal).catch(told)
      if (typeof page === 'string') return page
      const { jobs, next } = page
      calls++
      await take(jobs)
      onRead(seen.size)
      if (next === null) return null
      if (cursors.has(next)) return 'the listing of Reducto came to the same page again'
      cursors.add(next)
      cursor = next
    }
    return null
  }

  for (let reading = 0, before = -1; reading < (all ? MAX_READINGS : 1) && seen.size > before; reading++) {
    before = seen.size
    incomplete = await readOnce()
  }
  const unasked = await askOpen()
  incomplete ??= unasked
  return { read: seen.size, queued, processing: unfinished.length, unfinished, incomplete }
}

/** All of them, whatever the clock was when they were registered. */
async function expectedJobs(ledger: Pick<Ledger, 'overdue'>) {
  const jobs: { jobId: string; createdAt: number }[] = []
  let after: number | null = 0
  while (after !== null) {
    const page: Awaited<ReturnType<Ledger['overdue']>> = await ledger.overdue(Number.MAX_SAFE_INTEGER, PAGE, after)
    jobs.push(...page.jobs)
    after = page.next
  }
  return jobs
}

async function knownAmong(ledger: Pick<Ledger, 'list'>, jobIds: readonly string[]): Promise<readonly string[]> {
  if (jobIds.length === 0) return []
  const { rows } = await ledger.list({ jobIds }, { limit: jobIds.length })
  return rows.map(idOf)
}

function idOf({ jobId }: { readonly jobId: string }): string {
  return jobId
}
