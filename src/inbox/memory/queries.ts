import { isRequeueable, type JobState, type Stage } from '../../job.ts'
import type { Content, DeliveryRow, JobDetail, JobFilter, JobPage, Stats } from '../inbox.ts'
import { isInHand, jobRowOf } from '../transitions.ts'
import type { JobEntry, Memory, StoredDelivery } from './memory.ts'

/** Everything that only looks. */
export function createQueries(memory: Memory) {
  function get(jobId: string): JobDetail | null {
    const entry = memory.jobs.get(jobId)
    if (!entry) return null
    const { job, sideFiles, deliveries, otherEndpoints, attempts } = entry
    return {
      ...jobRowOf(job),
      isRunning: isInHand(job, sideFiles),
      endpoints: [job.endpoint, ...[...otherEndpoints].sort()],
      deliveries: deliveries.map(deliveryRowOf),
      attempts: [...attempts].sort(([a], [b]) => b - a).map(([, attempt]) => attempt),
    }
  }

  /** The newest first. */
  function matching(filter: JobFilter): JobEntry[] {
    return [...memory.jobs.values()].filter((entry) => matches(entry, filter)).reverse()
  }

  function list(filter: JobFilter, page: { limit: number; cursor?: string }): JobPage {
    const before = page.cursor === undefined ? Number.POSITIVE_INFINITY : Number(page.cursor)
    const older = matching(filter).filter(({ seq }) => seq < before)
    const found = older.slice(0, page.limit)
    const last = older.length > found.length ? found.at(-1)! : null
    return {
      rows: found.map(({ job }) => jobRowOf(job)),
      next: last && String(last.seq),
      searchedTo: last?.job.createdAt ?? null,
    }
  }

  /** What may be queued again, the oldest first. */
  function requeueable(filter: JobFilter): JobEntry[] {
    return matching(filter)
      .filter(({ job }) => isRequeueable(job.progress))
      .reverse()
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
      paused: memory.isPaused,
    }
  }

  return { get, list, requeueable, stats }
}

/** What each part of a filter asks of a job. */
const CONDITIONS: {
  readonly [K in keyof JobFilter]-?: (entry: JobEntry, value: NonNullable<JobFilter[K]>) => boolean
} = {
  state: ({ job }, state) => job.progress.state === state,
  jobId: ({ job }, jobId) => job.jobId === jobId,
  status: ({ job }, status) => lower(job.savedStatus ?? job.announced) === lower(status),
  type: ({ job }, type) => lower(job.type) === lower(type),
  endpoint: ({ job }, endpoint) => lower(job.endpoint) === lower(endpoint),
  error: ({ job: { progress } }, error) =>
    progress.reason?.code === error || (lower(progress.reason?.message ?? null)?.includes(lower(error)!) ?? false),
  q: ({ job, deliveries }, q) => job.jobId.startsWith(q) || deliveries.some(({ svixId }) => svixId.startsWith(q)),
  since: ({ job }, since) => job.updatedAt >= since,
}

function matches(entry: JobEntry, filter: JobFilter): boolean {
  const asked = Object.entries(filter).filter(([, value]) => value !== undefined)
  return asked.every(([part, value]) => {
    const condition = CONDITIONS[part as keyof JobFilter] as (entry: JobEntry, value: unknown) => boolean
    return condition(entry, value)
  })
}

/** As SQL compares without regard to case: the letters of ASCII alone. */
function lower(text: string | null): string | null {
  return text?.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) ?? null
}

function deliveryRowOf(delivery: StoredDelivery): DeliveryRow {
  const { svixId, endpoint, disposition, status, receivedAt, lastAt, arrivals } = delivery
  return { svixId, endpoint, disposition, status, receivedAt, lastAt, arrivals }
}
