import {
  type CleanReason,
  ERASED,
  type JobProgress,
  type JobState,
  type SideFilesProgress,
  type Stage,
} from '../../job.ts'
import type { CleanText } from '../../scrub.ts'
import type { JobFilter, JobRow } from '../inbox.ts'

/** A row of `job`, as SQLite gives it. */
export type JobTableRow = {
  readonly seq: number
  readonly job_id: string
  readonly state: JobState
  readonly stage: Stage
  readonly type: string | null
  readonly announced: string | null
  readonly saved_status: string | null
  readonly fetch_since: number
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

export const JOB_COLUMNS = `seq, job_id, state, stage, type, announced, saved_status, fetch_since, endpoint, first_delivery,
  failures, polls, crashes, due_at, spent, gone_spent, reason_code, reason_message, token, round, created_at, queued_at,
  updated_at`

/** A row of `side_files`. */
export type SideFilesRow = {
  readonly job: number
  readonly failures: number
  readonly crashes: number
  readonly due_at: number
  readonly spent: number
  readonly token: number
  readonly running: number
}

export function progressOf(job: JobTableRow): JobProgress {
  return {
    state: job.state,
    stage: job.stage,
    failures: job.failures,
    polls: job.polls,
    crashes: job.crashes,
    dueAt: job.due_at,
    spent: job.spent,
    goneSpent: job.gone_spent,
    reason: reasonOf(job.reason_code, job.reason_message),
  }
}

export function sideFilesOf(row: SideFilesRow): SideFilesProgress {
  return { failures: row.failures, crashes: row.crashes, dueAt: row.due_at, spent: row.spent }
}

export function jobRowOf(job: JobTableRow): JobRow {
  return {
    jobId: job.job_id,
    state: job.state,
    stage: job.stage,
    status: job.saved_status ?? job.announced,
    type: job.type,
    endpoint: job.endpoint,
    failures: job.failures,
    crashes: job.crashes,
    dueAt: job.due_at,
    createdAt: job.created_at,
    updatedAt: job.updated_at,
    reason: reasonOf(job.reason_code, job.reason_message),
  }
}

/** Reasons were scrubbed before they were stored. */
export function reasonOf(code: string | null, message: string | null): CleanReason | null {
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

/** Jobs that a person may queue again; an erased one has nothing to come back to. */
export const REQUEUABLE = `state IN ('dead', 'done', 'queued') AND reason_code IS NOT '${ERASED.code}'`

/** What a condition on `job` is for each part of a filter; the part's value is the parameter of its name. */
const CONDITIONS: { readonly [K in keyof JobFilter]-?: string } = {
  state: 'state = :state',
  stage: 'stage = :stage',
  jobId: 'job_id = :jobId',
  jobIds: 'job_id IN (SELECT value FROM json_each(:jobIds))',
  status: 'COALESCE(saved_status, announced) = :status COLLATE NOCASE',
  type: 'type = :type COLLATE NOCASE',
  endpoint: 'endpoint = :endpoint COLLATE NOCASE',
  code: 'reason_code = :code',
  error: '(reason_code = :error OR instr(lower(reason_message), lower(:error)))',
  // By the deliveries of the one job: a look for all deliveries with such an id would be a look at nearly all there are.
  q: `(substr(job_id, 1, length(:q)) = :q OR EXISTS (
        SELECT 1 FROM delivery WHERE substr(svix_id, 1, length(:q)) = :q
          AND (delivery.seq = job.first_delivery OR (delivery.further = 1 AND delivery.job_id = job.job_id))))`,
  // Numbers as they were sent: SQLite keeps their text in what -> returns. A byte order mark is no JSON.
  metadata: `NOT EXISTS (
    SELECT 1 FROM json_each(:metadata) AS wanted WHERE NOT EXISTS (
      SELECT 1 FROM (SELECT ltrim(CAST(body AS TEXT), char(65279)) AS text FROM delivery_body WHERE seq = job.first_delivery),
        json_each(iif(json_valid(text), text, '{}'), iif(json_type(iif(json_valid(text), text, '{}'), '$.job_id') IS NULL,
          '$.data.metadata', '$.metadata')) AS member
      WHERE member.key = wanted.key AND wanted.value = iif(member.type = 'text', member.value, text -> member.fullkey)))`,
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
    where.push(CONDITIONS[part as keyof JobFilter])
    values[part] = typeof value === 'object' ? JSON.stringify(value) : value
  }
  return { where: where.join(' AND '), values }
}
