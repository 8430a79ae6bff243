import type { DatabaseSync } from 'node:sqlite'
import type { JobState, Task } from '../../job.ts'
import type { Attempt, Content, DeliveryRow, JobDetail, JobFilter, JobPage, Stats } from '../inbox.ts'
import { createLookups } from './lookups.ts'
import { IN_LANE, JOB_COLUMNS, type JobTableRow, jobRowOf, LANES, matching, REQUEUABLE, reasonOf } from './rows.ts'

/** Rows that one statement looks at. */
const STEP_ROWS = 5_000
/** The same where their bodies, of up to 1 MiB each, have to be read. */
const STEP_BODIES = 200
/** A request looks for this long at most, ms; then it says how far it got. */
const MAX_REQUEST_MS = 40

/** Everything that only looks, on a connection of its own: a long look does not hold up an accept. */
export type Queries = ReturnType<typeof createQueries>

/** Jobs that may be queued again, by number; `next` is where the walk goes on. */
export type RequeueablePart = { readonly seqs: readonly number[]; readonly next: number | null }

export function createQueries(db: DatabaseSync) {
  const job = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ?`)
  const endpoints = db.prepare('SELECT endpoint FROM job_endpoint WHERE job_id = ? ORDER BY endpoint')
  const deliveries = db.prepare(
    `SELECT * FROM delivery WHERE seq = ? UNION ALL SELECT * FROM delivery WHERE further = 1 AND job_id = ? ORDER BY seq`,
  )
  const attempts = db.prepare('SELECT * FROM attempt WHERE job = ? ORDER BY token DESC')
  const sideFiles = db.prepare('SELECT 1 FROM side_files WHERE job = ? AND running = 1')
  const counters = db.prepare('SELECT name, value FROM counter')
  const newest = db.prepare('SELECT MAX(seq) AS seq FROM job')
  const lanes = db.prepare(LANES)
  const firstDue = db.prepare(
    `SELECT queued_at FROM job WHERE ${IN_LANE} AND is_retry = :isRetry ORDER BY due_at LIMIT 1`,
  )

  function get(jobId: string): JobDetail | null {
    const row = job.get(jobId) as JobTableRow | undefined
    if (!row) return null
    const others = endpoints.all(jobId) as { endpoint: string }[]
    return {
      ...jobRowOf(row),
      isRunning: row.state === 'running' || sideFiles.get(row.seq) !== undefined,
      endpoints: [row.endpoint, ...others.map((other) => other.endpoint)],
      deliveries: (deliveries.all(row.first_delivery, jobId) as DeliveryTableRow[]).map(deliveryRowOf),
      attempts: (attempts.all(row.seq) as AttemptTableRow[]).map(attemptOf),
    }
  }

  /**
   * Walks jobs from the newest below `before`, a step at a time, until `enough` rows match or the time is over. `next` is
   * where the walk goes on; null when there is nothing older.
   */
  function walk<Row extends { seq: number }>(
    columns: string,
    condition: string,
    filter: JobFilter,
    before: number,
    enough: number,
  ) {
    const { where, values } = matching(filter)
    const statement = db.prepare(
      `SELECT ${columns} FROM job WHERE seq < :before AND seq >= :from AND ${where} AND ${condition} ORDER BY seq DESC LIMIT :limit`,
    )
    const rows: Row[] = []
    const deadline = performance.now() + MAX_REQUEST_MS
    const step = filter.metadata === undefined ? STEP_ROWS : STEP_BODIES
    let at = Math.min(before, ((newest.get() as { seq: number | null }).seq ?? 0) + 1)
    while (at > 1) {
      const from = Math.max(at - step, 1)
      const limit = enough - rows.length
      const found = statement.all({ ...values, before: at, from, limit }) as unknown as Row[]
      rows.push(...found)
      at = found.length === limit ? found.at(-1)!.seq : from
      if (rows.length >= enough || performance.now() >= deadline) break
    }
    return { rows, next: at > 1 ? at : null }
  }

  function list(filter: JobFilter, page: { limit: number; cursor?: string }): JobPage {
    if (filter.jobId !== undefined || filter.jobIds !== undefined) return listNamed(filter)
    const before = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(page.cursor)
    const { rows, next } = walk<JobTableRow>(JOB_COLUMNS, 'TRUE', filter, before, page.limit)
    return {
      rows: rows.map(jobRowOf),
      next: next === null ? null : String(next),
      searchedTo: next === null ? null : createdBefore(next),
    }
  }

  /** By their ids jobs are found at once. */
  function listNamed(filter: JobFilter): JobPage {
    const { where, values } = matching(filter)
    const rows = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE ${where}`).all(values) as unknown as JobTableRow[]
    return { rows: rows.map(jobRowOf), next: null, searchedTo: null }
  }

  const createdAt = db.prepare('SELECT created_at FROM job WHERE seq >= ? ORDER BY seq LIMIT 1')
  function createdBefore(seq: number): number | null {
    return (createdAt.get(seq) as { created_at: number } | undefined)?.created_at ?? null
  }

  /** The jobs that may be queued again, of those that match, the newest first: a part, from below `before`. */
  function requeueable(filter: JobFilter, before: number | null): RequeueablePart {
    if (filter.jobIds !== undefined) return { seqs: requeueableNamed(filter, filter.jobIds), next: null }
    const row = filter.jobId === undefined ? undefined : (job.get(filter.jobId) as JobTableRow | undefined)
    if (filter.jobId !== undefined && !row) return { seqs: [], next: null }
    const from = before ?? (row ? row.seq + 1 : Number.MAX_SAFE_INTEGER)
    const { rows, next } = walk<{ seq: number }>('seq', REQUEUABLE, filter, from, STEP_ROWS)
    return { seqs: rows.map(({ seq }) => seq), next: row ? null : next }
  }

  /** Last to first, as a walk finds them: what queues them turns that round. */
  function requeueableNamed(filter: JobFilter, jobIds: readonly string[]): number[] {
    const { where, values } = matching(filter)
    const statement = db.prepare(`SELECT job_id, seq FROM job WHERE ${where} AND ${REQUEUABLE}`)
    const found = statement.all(values) as { job_id: string; seq: number }[]
    const seqs = new Map(found.map((row) => [row.job_id, row.seq]))
    return [...new Set(jobIds)].flatMap((jobId) => seqs.get(jobId) ?? []).reverse()
  }

  function stats(): Stats {
    const counted = new Map((counters.all() as { name: string; value: number }[]).map((row) => [row.name, row.value]))
    const jobs = (state: JobState) => counted.get(`job:${state}`) ?? 0
    const delivered = (disposition: Content['is']) => counted.get(`delivery:${disposition}`) ?? 0
    const queuedAt = (lanes.all() as { stage: string; endpoint: string }[]).flatMap((lane) =>
      [0, 1].flatMap(
        (isRetry) => (firstDue.get({ ...lane, isRetry }) as { queued_at: number } | undefined)?.queued_at ?? [],
      ),
    )
    return {
      jobs: {
        expected: jobs('expected'),
        queued: jobs('queued'),
        running: jobs('running'),
        done: jobs('done'),
        dead: jobs('dead'),
      },
      deliveries: { job: delivered('job'), ignored: delivered('ignored'), rejected: delivered('rejected') },
      oldestQueuedAt: queuedAt.length > 0 ? Math.min(...queuedAt) : null,
      lastVerifiedAt: counted.get('last_verified_at') ?? null,
      paused: counted.get('paused') === 1,
    }
  }

  return { get, list, requeueable, stats, ...createLookups(db) }
}

type DeliveryTableRow = {
  svix_id: string
  endpoint: string
  disposition: Content['is']
  status: string | null
  received_at: number
  last_at: number
  arrivals: number
}

type AttemptTableRow = {
  started_at: number
  ms: number
  outcome: string
  code: string | null
  message: string | null
  saved_status: string | null
  task: Task
  type: string | null
}

function deliveryRowOf(row: DeliveryTableRow): DeliveryRow {
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

function attemptOf(row: AttemptTableRow): Attempt {
  return {
    startedAt: row.started_at,
    ms: row.ms,
    task: row.task,
    outcome: row.outcome,
    reason: reasonOf(row.code, row.message),
    savedStatus: row.saved_status,
    type: row.type,
  }
}
