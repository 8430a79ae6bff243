import type { JobState, Stage, Standing } from '../../job.ts'
import type { JobFilter, JobRow } from '../inbox.ts'

/** A row of `job`, as SQLite gives it. */
export type JobRecord = {
  readonly seq: number
  readonly job_id: string
  readonly state: JobState
  readonly stage: Stage
  readonly type: string | null
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
  readonly round: number
  readonly created_at: number
  readonly queued_at: number
  readonly updated_at: number
}

export const JOB_COLUMNS = `seq, job_id, state, stage, type, status, recorded, refetch, news, endpoint, first, tries, waits, crashes, due_at,
  give_up_at, gone_since, reason_code, reason_message, token, round, created_at, queued_at, updated_at`

export function standingOf(job: JobRecord): Standing {
  return {
    state: job.state,
    stage: job.stage,
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
    stage: job.stage,
    status: job.recorded ?? job.status,
    type: job.type,
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

/** Jobs that a person may queue again; an erased one has nothing to come back to. */
export const REQUEUABLE = `state IN ('dead', 'done', 'queued') AND reason_code IS NOT 'erased'`

/** What a condition on `job` is for each part of a filter; every `?` takes the part's value. */
const CONDITIONS: { readonly [K in keyof JobFilter]-?: string } = {
  state: 'state = ?',
  jobId: 'job_id = ?',
  status: 'COALESCE(recorded, status) = ? COLLATE NOCASE',
  type: 'type = ? COLLATE NOCASE',
  endpoint: 'endpoint = ? COLLATE NOCASE',
  error: '(reason_code = ? OR instr(lower(reason_message), lower(?)))',
  // Ids are ASCII: what begins with the text lies before the text with the last character behind it.
  q: `(job_id >= ? AND job_id < ? || char(127) OR job_id IN
       (SELECT job_id FROM delivery WHERE svix_id >= ? AND svix_id < ? || char(127)))`,
  since: 'updated_at >= ?',
}

/** A filter as a condition on `job`. */
export function matching(filter: JobFilter): { where: string; values: (string | number)[] } {
  const where = ['TRUE']
  const values: (string | number)[] = []
  for (const [part, value] of Object.entries(filter)) {
    if (value === undefined) continue
    const condition = CONDITIONS[part as keyof JobFilter]
    where.push(condition)
    for (const _ of condition.matchAll(/\?/g)) values.push(value)
  }
  return { where: where.join(' AND '), values }
}
