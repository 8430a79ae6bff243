import type { CleanReason, JobState, Stage, Task } from '../../job.ts'
import { causeOf } from '../../job-cause.ts'
import type { CleanText } from '../../telemetry/scrub.ts'
import { notedAttempt } from '../attempt.ts'
import type { Attempt, Content, DeliveryRow, ListedDelivery, NewAttempt } from '../inbox.ts'
import type { StoredJob, StoredSideFiles } from '../transitions.ts'

/** A row of `job`. */
export type JobTableRow = {
  readonly seq: number
  readonly job_id: string
  readonly state: JobState
  readonly stage: Stage
  readonly type: string | null
  readonly announced_status: string | null
  readonly saved_status: string | null
  readonly fetch_since_round: number
  readonly endpoint: string
  readonly first_delivery: number | null
  readonly failures: number
  readonly polls: number
  readonly crashes: number
  readonly due_at: number
  readonly spent: number
  readonly gone_spent: number | null
  readonly reason_code: string | null
  readonly reason_message: string | null
  readonly token: number
  readonly round: number
  readonly created_at: number
  readonly queued_at: number
  readonly updated_at: number
}

const JOB_COLUMN_NAMES = [
  ...['seq', 'job_id', 'state', 'stage', 'type', 'announced_status', 'saved_status', 'fetch_since_round', 'endpoint'],
  ...['first_delivery', 'failures', 'polls', 'crashes', 'due_at', 'spent', 'gone_spent', 'reason_code'],
  ...['reason_message', 'token', 'round', 'created_at', 'queued_at', 'updated_at'],
]
export const JOB_COLUMNS = JOB_COLUMN_NAMES.map((name) => `job.${name}`).join(', ')

/** A row of `side_files`. */
export type SideFilesRow = {
  readonly job_seq: number
  readonly failures: number
  readonly crashes: number
  readonly due_at: number
  readonly spent: number
  readonly token: number
  readonly is_running: boolean
}

/** A row of `delivery`, without its body. */
export type DeliveryTableRow = {
  readonly seq: number
  readonly svix_id: string
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly job_id: string | null
  readonly status: string | null
  readonly rejected_reason: string | null
  readonly received_at: number
  readonly last_at: number
  readonly arrivals: number
}

export const DELIVERY_COLUMNS =
  'seq, svix_id, endpoint, disposition, job_id, status, rejected_reason, received_at, last_at, arrivals'

/** A row of `attempt`. */
export type AttemptTableRow = {
  readonly started_at: number
  readonly ms: number
  readonly outcome: string
  readonly reason_code: string | null
  readonly reason_message: string | null
  readonly saved_status: string | null
  readonly task: Task
  readonly type: string | null
  readonly round: number | null
  readonly calls: number | null
  readonly files: number | null
  readonly bytes: number | null
  readonly fetch_ms: number | null
  readonly save_ms: number | null
  readonly hand_over_ms: number | null
}

/** Text that can be stored: PostgreSQL has no NUL, and UTF-8 no half of a surrogate pair. */
export function storable<T extends string | null>(text: T): T {
  return (text === null ? null : text.toWellFormed().replaceAll('\0', '\ufffd')) as T
}

/** A value as JSON, with texts that can be stored. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'string' ? storable(part) : part))
}

export function storedJobOf(row: JobTableRow): StoredJob {
  return {
    jobId: row.job_id,
    endpoint: row.endpoint,
    firstDelivery: row.first_delivery,
    announced: row.announced_status,
    savedStatus: row.saved_status,
    type: row.type,
    round: row.round,
    fetchSince: row.fetch_since_round,
    token: row.token,
    progress: {
      state: row.state,
      stage: row.stage,
      failures: row.failures,
      polls: row.polls,
      crashes: row.crashes,
      dueAt: row.due_at,
      spent: row.spent,
      goneSpent: row.gone_spent,
      reason: reasonOf(row.reason_code, row.reason_message),
    },
    createdAt: row.created_at,
    queuedAt: row.queued_at,
    updatedAt: row.updated_at,
  }
}

/** What of a job may change, by column: a job's JSON for `json_populate_recordset`. */
export function columnsOf(seq: number, job: StoredJob) {
  const { progress } = job
  return {
    seq,
    endpoint: job.endpoint,
    state: progress.state,
    stage: progress.stage,
    type: storable(job.type),
    announced_status: storable(job.announced),
    saved_status: storable(job.savedStatus),
    fetch_since_round: job.fetchSince,
    first_delivery: job.firstDelivery,
    failures: progress.failures,
    polls: progress.polls,
    crashes: progress.crashes,
    due_at: Math.round(progress.dueAt),
    spent: Math.round(progress.spent),
    gone_spent: progress.goneSpent === null ? null : Math.round(progress.goneSpent),
    ...reasonColumns(progress.reason),
    cause: progress.state === 'dead' && progress.reason ? storable(causeOf(progress.reason)) : null,
    token: job.token,
    round: job.round,
    queued_at: Math.round(job.queuedAt),
    updated_at: Math.round(job.updatedAt),
  }
}

/** The names of what `columnsOf` gives, apart from `seq`. */
export const CHANGING_COLUMNS = [
  ...[
    'endpoint',
    'state',
    'stage',
    'type',
    'announced_status',
    'saved_status',
    'fetch_since_round',
    'first_delivery',
    'failures',
  ],
  ...['polls', 'crashes', 'due_at', 'spent', 'gone_spent', 'reason_code', 'reason_message', 'cause', 'token'],
  ...['round', 'queued_at', 'updated_at'],
]

function reasonColumns(reason: CleanReason | null) {
  return { reason_code: storable(reason?.code ?? null), reason_message: storable(reason?.message ?? null) }
}

export function storedSideFilesOf(row: SideFilesRow): StoredSideFiles {
  const { failures, crashes, due_at: dueAt, spent, token, is_running: isRunning } = row
  return { failures, crashes, dueAt, spent, token, isRunning }
}

export function deliveryRowOf(row: DeliveryTableRow): DeliveryRow {
  return {
    svixId: row.svix_id,
    endpoint: row.endpoint,
    disposition: row.disposition,
    status: row.status,
    receivedAt: row.received_at,
    lastAt: row.last_at,
    arrivals: row.arrivals,
  }
}

export function listedDeliveryOf(row: DeliveryTableRow): ListedDelivery {
  return { ...deliveryRowOf(row), jobId: row.job_id, note: row.rejected_reason }
}

export function attemptOf(row: AttemptTableRow): Attempt {
  return {
    startedAt: row.started_at,
    ms: row.ms,
    task: row.task,
    outcome: row.outcome,
    reason: reasonOf(row.reason_code, row.reason_message),
    savedStatus: row.saved_status,
    type: row.type,
    ...{ round: row.round, calls: row.calls, files: row.files, bytes: row.bytes },
    ...{ fetchMs: row.fetch_ms, saveMs: row.save_ms, handOverMs: row.hand_over_ms },
  }
}

/** An attempt as a row of the table. */
export function attemptColumns(jobSeq: number, token: number, attempt: NewAttempt) {
  const noted = notedAttempt(attempt)
  return {
    ...{ job_seq: jobSeq, token, started_at: Math.round(noted.startedAt), ms: noted.ms, task: noted.task },
    ...{ outcome: storable(noted.outcome), ...reasonColumns(noted.reason) },
    ...{
      saved_status: storable(noted.savedStatus),
      type: storable(noted.type),
      round: noted.round,
      calls: noted.calls,
    },
    ...{ files: noted.files, bytes: noted.bytes, fetch_ms: noted.fetchMs, save_ms: noted.saveMs },
    hand_over_ms: noted.handOverMs,
  }
}

/** Reasons were scrubbed before they were stored. */
function reasonOf(code: string | null, message: string | null): CleanReason | null {
  return code === null ? null : { code, message: (message ?? '') as CleanText }
}
