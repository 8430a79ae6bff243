import { isRequeueable, type JobState, type Stage } from '../../job.ts'
import type { Overdue } from '../expected.ts'
import type { Content, JobDetail, JobFilter, JobPage, JobRow, Page, ServiceState, Stats } from '../inbox.ts'
import { hasMetadata } from '../metadata.ts'
import { matches } from '../search/matches.ts'
import { parseQuery, startsAny } from '../search/query.ts'
import { isInHand, jobRowOf } from '../transitions.ts'
import { createDeliveryQueries, deliveryRowOf } from './delivery-queries.ts'
import { causeOfEntry, createJournal } from './journal.ts'
import { type Conditions, isEvery, lower } from './match.ts'
import { bodyOf, type JobEntry, type Memory } from './memory.ts'
import { pageOf } from './page.ts'

/** All functions that only read. */
export function createQueries(memory: Memory) {
  function get(jobId: string): JobDetail | null {
    const entry = memory.jobs.get(jobId)
    if (!entry) return null
    const { job, sideFiles, registration, deliveries, otherEndpoints, attempts, actions } = entry
    return {
      ...jobRowOf(job),
      registered: registration && { by: registration.by, at: registration.at },
      isRunning: isInHand(job, sideFiles),
      endpoints: [job.endpoint, ...[...otherEndpoints].sort()],
      deliveries: deliveries.map(deliveryRowOf),
      round: job.round,
      queuedAt: job.queuedAt,
      actions: actions.toReversed(),
      attempts: [...attempts].sort(([a], [b]) => b - a).map(([, attempt]) => attempt),
    }
  }

  /** Newest first. */
  function matching(filter: JobFilter): JobEntry[] {
    return [...memory.jobs.values()].filter((entry) => isEvery(CONDITIONS, entry, filter)).reverse()
  }

  function list(filter: JobFilter, page: Page): JobPage {
    const { rows, next, last } = pageOf(matching(filter), page, ({ seq }) => seq)
    return { rows: rows.map(({ job }) => jobRowOf(job)), next, searchedTo: last?.job.createdAt ?? null }
  }

  function oldest(filter: JobFilter): JobRow | null {
    const first = matching(filter).at(-1)
    return first ? jobRowOf(first.job) : null
  }

  /** What may be queued again: in the order in which it is named, else the oldest first. */
  function requeueable(filter: JobFilter): JobEntry[] {
    const found = matching(filter).filter(({ job }) => isRequeueable(job.progress))
    if (filter.jobIds === undefined) return found.reverse()
    const byId = new Map(found.map((entry) => [entry.job.jobId, entry]))
    return [...new Set(filter.jobIds)].flatMap((jobId) => byId.get(jobId) ?? [])
  }

  function overdue(before: number, limit: number, after = 0): Overdue {
    const all = [...memory.jobs.values()]
      .filter(({ job }) => job.progress.state === 'expected' && job.createdAt < before)
      .sort((a, b) => a.job.createdAt - b.job.createdAt || a.seq - b.seq)
    // It may be expected no more; the list goes on behind it all the same.
    const last = [...memory.jobs.values()].find(({ seq }) => seq === after)
    const isLater = ({ job, seq }: JobEntry) =>
      last === undefined || job.createdAt > last.job.createdAt || (job.createdAt === last.job.createdAt && seq > after)
    const found = all.filter(isLater).slice(0, limit)
    return {
      jobs: found.map(({ job: { jobId, createdAt } }) => ({ jobId, createdAt })),
      total: all.length,
      next: found.length === limit ? (found.at(-1)?.seq ?? null) : null,
    }
  }

  function service(): ServiceState {
    return { pause: memory.pause, startedAt: memory.startedAt }
  }

  function stats(): Stats {
    const entries = [...memory.jobs.values()]
    const deliveries = [...memory.deliveries.values()]
    const jobs = (state: JobState) => entries.filter(({ job }) => job.progress.state === state).length
    const delivered = (disposition: Content['is']) => deliveries.filter((one) => one.disposition === disposition).length
    const queued = entries.filter(({ job }) => job.progress.state === 'queued').map(({ job }) => job)
    const firstDue = (stage: Stage) => {
      const due = queued.filter(({ progress }) => progress.stage === stage).map(({ progress }) => progress.dueAt)
      return due.length > 0 ? Math.min(...due) : null
    }
    const waiting = (stage: Stage) => queued.filter(({ progress }) => progress.stage === stage).length
    const [next] = queued.sort((a, b) => a.queuedAt - b.queuedAt)
    return {
      jobs: {
        ...{ expected: jobs('expected'), queued: jobs('queued'), running: jobs('running') },
        ...{ done: jobs('done'), dead: jobs('dead') },
      },
      deliveries: { job: delivered('job'), ignored: delivered('ignored'), rejected: delivered('rejected') },
      oldestQueuedAt: next?.queuedAt ?? null,
      oldestDueAt: { fetch: firstDue('fetch'), hand_over: firstDue('hand_over') },
      lastVerifiedAt: memory.lastVerifiedAt,
      endpoints: [...memory.lastVerifiedBy]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([endpoint, lastVerifiedAt]) => ({ endpoint, lastVerifiedAt })),
      queued: { fetch: waiting('fetch'), hand_over: waiting('hand_over') },
      paused: memory.pause !== null,
    }
  }

  const { causes, atRisk, actions, minutes, refusals } = createJournal(memory)
  const journal = { causes, atRisk, actions, minutes, refusals }
  return { get, list, oldest, requeueable, stats, service, overdue, ...journal, ...createDeliveryQueries(memory) }
}

/** What each part of a filter asks of a job. */
const CONDITIONS: Conditions<JobEntry, JobFilter> = {
  state: ({ job }, state) => job.progress.state === state,
  stage: ({ job }, stage) => job.progress.stage === stage,
  jobId: ({ job }, jobId) => job.jobId === jobId,
  jobIds: ({ job }, jobIds) => jobIds.includes(job.jobId),
  status: ({ job }, status) => lower(job.savedStatus ?? job.announced) === lower(status),
  type: ({ job }, type) => lower(job.type) === lower(type),
  endpoint: ({ job }, endpoint) => lower(job.endpoint) === lower(endpoint),
  cause: (entry, cause) => causeOfEntry(entry) === cause,
  code: ({ job }, code) => job.progress.reason?.code === code,
  error: ({ job: { progress } }, error) =>
    progress.reason?.code === error || (lower(progress.reason?.message ?? null)?.includes(lower(error)!) ?? false),
  q: (entry, q) => isFound(entry, q),
  metadata(entry, metadata) {
    const body = bodyOf(entry)
    return body === null ? false : hasMetadata(body, metadata)
  },
  since: ({ job }, since) => job.updatedAt >= since,
  until: ({ job }, until) => job.updatedAt <= until,
  createdSince: ({ job }, createdSince) => job.createdAt >= createdSince,
}

function isFound(entry: JobEntry, q: string): boolean {
  const query = parseQuery(q)
  if (query === null) return false
  const { job, deliveries } = entry
  const { state, reason } = job.progress
  const ids = [job.jobId, ...deliveries.map(({ svixId }) => svixId)]
  if (startsAny(query, ids)) return true
  const body = bodyOf(entry)
  return matches(query, { state, code: reason?.code ?? null, message: reason?.message ?? null, body })
}
