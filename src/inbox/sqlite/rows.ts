import { type CleanReason, ERASED, type JobState, REQUEUEABLE_STATES, type Stage, type Task } from '../../job.ts'
import { causeOf } from '../../job-cause.ts'
import type { CleanText } from '../../telemetry/scrub.ts'
import type { Attempt, Content, DeliveryFilter, DeliveryRow, JobFilter, ListedDelivery } from '../inbox.ts'
import type { StoredJob, StoredSideFiles } from '../transitions.ts'

/** A row of `job`, as SQLite gives it. */
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

export const JOB_COLUMNS = `seq, job_id, state, stage, type, announced_status, saved_status, fetch_since_round, endpoint, first_delivery,
  failures, polls, crashes, due_at, spent, gone_spent, reason_code, reason_message, token, round, created_at, queued_at,
  updated_at`

/** A row of `side_files`. */
export type SideFilesRow = {
  readonly job_seq: number
  readonly failures: number
  readonly crashes: number
  readonly due_at: number
  readonly spent: number
  readonly token: number
  readonly is_running: number
}

/** A row of `delivery`. */
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

/** A job as it is kept, of its row. */
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

/** What of a job may change, as the parameters of its statements. */
export function columnsOf(job: StoredJob) {
  const { type, announced, savedStatus, firstDelivery, round, fetchSince, token, queuedAt, updatedAt } = job
  const { reason, ...progress } = job.progress
  const cause = progress.state === 'dead' && reason !== null ? causeOf(reason) : null
  return {
    ...progress,
    ...reasonColumns(reason),
    cause,
    ...{ type, announced, savedStatus, firstDelivery, round, fetchSince, token, queuedAt, updatedAt },
  }
}

/** A reason as parameters. */
export function reasonColumns(reason: CleanReason | null) {
  return { reasonCode: reason?.code ?? null, reasonMessage: reason?.message ?? null }
}

/** Missing side files as they are kept, of their row. */
export function storedSideFilesOf(row: SideFilesRow): StoredSideFiles {
  const { failures, crashes, due_at: dueAt, spent, token, is_running } = row
  return { failures, crashes, dueAt, spent, token, isRunning: is_running === 1 }
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

/** Reasons were scrubbed before they were stored. */
function reasonOf(code: string | null, message: string | null): CleanReason | null {
  return code === null ? null : { code, message: (message ?? '') as CleanText }
}

/** Queued jobs of one stage and endpoint, apart from those that must run alone: the start of the index `job_due`. */
export const IN_LANE = `state = 'queued' AND crashes < 2 AND stage = :stage AND endpoint = :endpoint`

const leastEndpoint = (stage: string, more: string) =>
  `(SELECT MIN(endpoint) FROM job WHERE state = 'queued' AND crashes < 2 AND stage = ${stage} ${more})`

/** Stages and endpoints that have queued jobs: a look into the index for each, however many jobs wait. */
export const LANES = `
  WITH RECURSIVE lane (stage, endpoint) AS (
    SELECT name, ${leastEndpoint('name', '')} FROM (SELECT 'fetch' AS name UNION ALL SELECT 'hand_over')
    UNION ALL
    SELECT stage, ${leastEndpoint('lane.stage', 'AND endpoint > lane.endpoint')} FROM lane WHERE endpoint IS NOT NULL
  )
  SELECT stage, endpoint FROM lane WHERE endpoint IS NOT NULL`

/** Queued jobs that must run alone (see isIsolated): the index `job_isolated`. */
export const ISOLATED = `state = 'queued' AND crashes >= 2`

/** `isRequeueable`, for a walk through all jobs. */
export const REQUEUEABLE = `state IN (${REQUEUEABLE_STATES.map((state) => `'${state}'`)}) AND reason_code IS NOT '${ERASED.code}'`

/** The function by which SQL asks for the members of a body's metadata: of `createQueries`. */
export const HAS_METADATA = 'has_metadata'

/** The functions by which SQL compares what was searched for with a job, and with its error alone: of `createQueries`. */
export const SEARCH_JOB = 'search_job'
export const SEARCH_ERROR = 'search_error'

/** The text with a job's metadata: registered, else of its first delivery. */
export const BODY_OF_JOB = `COALESCE((SELECT body FROM registration WHERE job_seq = job.seq),
  (SELECT body FROM delivery_body WHERE seq = job.first_delivery))`

/** A state as a condition. It stands in the query as it is: SQLite knows an index of a state by its very words. */
const IN_STATE: Readonly<Record<JobState, string>> = {
  expected: `state = 'expected'`,
  queued: `state = 'queued'`,
  running: `state = 'running'`,
  done: `state = 'done'`,
  dead: `state = 'dead'`,
}

/** The index of jobs in a state that few are in. Named, since SQLite would walk all jobs where it knows no numbers of either. */
const RARE_STATES: ReadonlyMap<JobState, string> = new Map([
  ['expected', 'job_expected'],
  ['running', 'job_running'],
  ['dead', 'job_dead'],
])

/** The state that a filter is for, if few jobs are in it: as a condition, with the index that has them by number. */
export function rareState({ state, cause }: JobFilter): { readonly index: string; readonly where: string } | null {
  const wanted = state ?? (cause === undefined ? undefined : 'dead')
  const index = wanted && RARE_STATES.get(wanted)
  return index ? { index, where: IN_STATE[wanted] } : null
}

/** What a condition on `job` is for each part of a filter; the part's value is the parameter of its name. */
const CONDITIONS: { readonly [K in Exclude<keyof JobFilter, 'state'>]-?: string } = {
  stage: 'stage = :stage',
  jobId: 'job_id = :jobId',
  jobIds: 'job_id IN (SELECT value FROM json_each(:jobIds))',
  status: 'COALESCE(saved_status, announced_status) = :status COLLATE NOCASE',
  type: 'type = :type COLLATE NOCASE',
  endpoint: 'endpoint = :endpoint COLLATE NOCASE',
  // The index is only used where its own condition stands in the query.
  cause: `(state = 'dead' AND cause = :cause)`,
  code: 'reason_code = :code',
  error: '(reason_code = :error OR instr(lower(reason_message), lower(:error)))',
  // By the deliveries of the one job: a look for all deliveries with such an id would be a look at nearly all there are.
  // Words come last: they need the body.
  q: `(substr(job_id, 1, length(:q)) = :q OR EXISTS (
        SELECT 1 FROM delivery WHERE substr(svix_id, 1, length(:q)) = :q
          AND (delivery.seq = job.first_delivery OR (delivery.is_later = 1 AND delivery.job_id = job.job_id)))
        OR ${SEARCH_JOB}(:q, state, reason_code, reason_message, ${BODY_OF_JOB}))`,
  metadata: `${HAS_METADATA}(${BODY_OF_JOB}, :metadata)`,
  since: 'updated_at >= :since',
  until: 'updated_at <= :until',
  createdSince: 'created_at >= :createdSince',
}

/** A filter as a condition on `job`, with its named parameters. */
export function matching(filter: JobFilter): { where: string; values: Record<string, string | number> } {
  const where = ['TRUE']
  const values: Record<string, string | number> = {}
  for (const [part, value] of Object.entries(filter)) {
    if (value === undefined) continue
    where.push(part === 'state' ? IN_STATE[value as JobState] : CONDITIONS[part as Exclude<keyof JobFilter, 'state'>])
    if (part === 'state') continue
    values[part] = typeof value === 'object' ? JSON.stringify(value) : value
  }
  // An id that was pasted with blanks. Blanks alone stay, and begin no id.
  if (filter.q) values.q = filter.q.trim() || filter.q
  return { where: where.join(' AND '), values }
}

/** The same on `delivery`. */
const DELIVERY_CONDITIONS: { readonly [K in keyof DeliveryFilter]-?: string } = {
  disposition: 'disposition = :disposition',
  endpoint: 'endpoint = :endpoint COLLATE NOCASE',
  since: 'received_at >= :since',
  q: 'substr(svix_id, 1, length(:q)) = :q',
}

/** A filter as a condition on `delivery`. `isOther`: it is for such as concern no job, which have an index of their own. */
export function deliveriesMatching(filter: DeliveryFilter) {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  const isOther = filter.disposition === 'ignored' || filter.disposition === 'rejected'
  const conditions = given.map(([part]) => DELIVERY_CONDITIONS[part as keyof DeliveryFilter])
  // The index is only used where its own condition stands in the query.
  const where = ['TRUE', ...(isOther ? [`disposition <> 'job'`] : []), ...conditions].join(' AND ')
  return { where, values: Object.fromEntries(given) as Record<string, string | number>, isOther }
}
