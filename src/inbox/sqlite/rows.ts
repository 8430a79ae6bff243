import type { JobState, Standing } from '../../job.ts'
import type { JobFilter, JobRow } from '../inbox.ts'

/** A row of `job`, as SQLite gives it. */
export type JobRecord = {
  readonly seq: number
  readonly job_id: string
  readonly state: JobState
  readonly status: string | null
  readonly recorded: string | null
  readonly refetch: number
  readonly news: number
  readonly endpoint: string
  readonly first: number | null
  readonly tries: number
  readonly waits: number
  readonly crashes: number
  readonly due_at: number
  readonly give_up_at: number
  readonly gone_since: number | null
  readonly reason_code: string | null
  readonly reason_message: string | null
  readonly token: number
  readonly created_at: number
  readonly updated_at: number
}

export const JOB_COLUMNS = `seq, job_id, state, status, recorded, refetch, news, endpoint, first, tries, waits, crashes, due_at,
  give_up_at, gone_since, reason_code, reason_message, token, created_at, updated_at`

export function standingOf(job: JobRecord): Standing {
  return {
    state: job.state,
    tries: job.tries,
    waits: job.waits,
    crashes: job.crashes,
    dueAt: job.due_at,
    giveUpAt: job.give_up_at,
    goneSince: job.gone_since,
    reason: reasonOf(job.reason_code, job.reason_message),
  }
}

export function jobRowOf(job: JobRecord): JobRow {
  return {
    jobId: job.job_id,
    state: job.state,
    status: job.recorded ?? job.status,
    endpoint: job.endpoint,
    tries: job.tries,
    crashes: job.crashes,
    dueAt: job.due_at,
    createdAt: job.created_at,
    updatedAt: job.updated_at,
    reason: reasonOf(job.reason_code, job.reason_message),
  }
}

export function reasonOf(code: string | null, message: string | null) {
  return code === null ? null : { code, message: message ?? '' }
}

/** A filter as a condition on `job`. */
export function matching(filter: JobFilter): { where: string; values: string[] } {
  const where = ['1']
  const values: string[] = []
  if (filter.state !== undefined) {
    where.push('state = ?')
    values.push(filter.state)
  }
  if (filter.jobId !== undefined) {
    where.push('job_id = ?')
    values.push(filter.jobId)
  }
  return { where: where.join(' AND '), values }
}
