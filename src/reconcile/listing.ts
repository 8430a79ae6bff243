import type { Ledger } from '../inbox/inbox.ts'
import type { FetchStatus } from '../reducto/job-status.ts'
import { FINAL } from '../reducto/job-status.ts'
import type { ListedJob, ListJobs } from '../reducto/list-jobs.ts'

/** Jobs that one call lists; Reducto allows as many. */
const PAGE = 500
/** Pages of one reading: a million jobs. A listing that goes on and on is no listing. */
const MAX_PAGES = 2_000
/** A listing that changes while it is read can leave jobs out: it is read until nothing new is in it, so often at most. */
const MAX_READINGS = 3
/** Expected jobs that the listing did not name, and that are asked for one by one. */
const MAX_ASKED = 2_000

export type ListingDeps = {
  readonly ledger: Pick<Ledger, 'list' | 'overdue' | 'missed'>
  readonly listJobs: ListJobs
  readonly fetchStatus: FetchStatus
  readonly now: () => number
  /** Jobs of the listing that were read so far. */
  readonly onRead?: (read: number) => void
}

/** `since`: registered, or created at Reducto, at this time (ms) or later. `all`: also jobs that nobody registered. */
export type ListingOptions = { readonly since: number; readonly all: boolean; readonly dryRun: boolean }

/** `queued`: what ended without a webhook; `processing`: expected jobs that have not ended; `incomplete`: why not all was seen. */
export type ListingResult = {
  readonly read: number
  readonly queued: readonly string[]
  readonly processing: number
  readonly incomplete: string | null
}

/**
 * Pages through the account's jobs and queues what ended without a webhook. The order of the listing is not relied on. An
 * expected job that it leaves out is asked for by its id.
 * @throws ReductoError
 */
export async function reconcileListing(
  { ledger, listJobs, fetchStatus, now, onRead = () => {} }: ListingDeps,
  { since, all, dryRun }: ListingOptions,
  signal: AbortSignal,
): Promise<ListingResult> {
  const open = new Set((await expectedJobs(ledger, now())).filter((job) => job.createdAt >= since).map(idOf))
  const queued: string[] = []
  const seen = new Set<string>()
  let incomplete: string | null = null
  let processing = 0

  async function queue(jobId: string, status: string | null): Promise<void> {
    open.delete(jobId)
    if (!dryRun && (await ledger.missed(jobId, { status, endpoint: 'default' })) === 'known') return
    queued.push(jobId)
  }

  async function take(rows: readonly ListedJob[]): Promise<void> {
    const fresh = rows.filter(({ jobId, status }) => FINAL.has(status) && !seen.has(jobId))
    for (const { jobId } of fresh) seen.add(jobId)
    const isRecent = ({ createdAt }: ListedJob) => createdAt === null || createdAt >= since
    const strangers = all ? fresh.filter((job) => !open.has(job.jobId) && isRecent(job)) : []
    const known = new Set(await knownAmong(ledger, strangers.map(idOf)))
    const unknown = new Set(strangers.map(idOf).filter((jobId) => !known.has(jobId)))
    for (const { jobId, status } of fresh) if (open.has(jobId) || unknown.has(jobId)) await queue(jobId, status)
  }

  /** Reads the listing to its end, or until nothing is looked for any more. Resolves to why it did not come that far. */
  async function readOnce(): Promise<string | null> {
    const cursors = new Set<string>()
    let cursor: string | undefined
    for (let pages = 0; all || open.size > 0; pages++) {
      if (pages === MAX_PAGES) return `the listing has more than ${MAX_PAGES * PAGE} jobs`
      const { jobs, next } = await listJobs({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }, signal)
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
  for (const jobId of [...open].slice(0, MAX_ASKED)) {
    const found = await fetchStatus(jobId, signal)
    if (found.is === 'processing') processing++
    else await queue(jobId, found.is === 'ended' ? found.status : null)
  }
  if (open.size > MAX_ASKED) incomplete ??= `more than ${MAX_ASKED} expected jobs are not in the listing`
  return { read: seen.size, queued, processing, incomplete }
}

async function expectedJobs(ledger: Pick<Ledger, 'overdue'>, now: number) {
  const jobs: { jobId: string; createdAt: number }[] = []
  let after: number | null = 0
  while (after !== null) {
    const page: Awaited<ReturnType<Ledger['overdue']>> = await ledger.overdue(now + 1, PAGE, after)
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
