import type { DatabaseSync } from 'node:sqlite'
import type { JobState, Stage } from '../../job.ts'
import type { Attempt, Content, DeliveryRow, JobDetail, JobFilter, JobPage, Stats } from '../inbox.ts'
import { JOB_COLUMNS, type JobRecord, jobRowOf, matching, REQUEUABLE, reasonOf } from './rows.ts'

/** Everything that only looks, on a connection of its own: a long look does not hold up an accept. */
export type Reader = ReturnType<typeof createReader>

export function createReader(db: DatabaseSync) {
  const job = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ?`)
  const endpoints = db.prepare('SELECT endpoint FROM job_endpoint WHERE job_id = ? ORDER BY endpoint')
  const deliveries = db.prepare(
    `SELECT * FROM delivery WHERE seq = ? UNION ALL SELECT * FROM delivery WHERE further = 1 AND job_id = ? ORDER BY seq`,
  )
  const attempts = db.prepare('SELECT * FROM attempt WHERE job = ? ORDER BY token DESC')
  const counters = db.prepare('SELECT name, value FROM counter')
  const oldest = db.prepare(
    `SELECT MIN(queued_at) AS queued_at FROM (
       SELECT queued_at FROM (SELECT queued_at FROM job WHERE state = 'queued' AND stage = 'fetch' ORDER BY due_at LIMIT 1)
       UNION ALL
       SELECT queued_at FROM (SELECT queued_at FROM job WHERE state = 'queued' AND stage = 'hand_over' ORDER BY due_at LIMIT 1))`,
  )

  function get(jobId: string): JobDetail | null {
    const row = job.get(jobId) as JobRecord | undefined
    if (!row) return null
    const others = endpoints.all(jobId) as { endpoint: string }[]
    return {
      ...jobRowOf(row),
      endpoints: [row.endpoint, ...others.map((other) => other.endpoint)],
      deliveries: (deliveries.all(row.first, jobId) as DeliveryRecord[]).map(deliveryRowOf),
      attempts: (attempts.all(row.seq) as AttemptRecord[]).map(attemptOf),
    }
  }

  function list(filter: JobFilter, page: { limit: number; cursor?: string }): JobPage {
    const { where, values } = matching(filter)
    const before = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(page.cursor)
    const rows = db
      .prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE ${where} AND seq < ? ORDER BY seq DESC LIMIT ?`)
      .all(...values, before, page.limit + 1) as JobRecord[]
    const shown = rows.slice(0, page.limit)
    return { rows: shown.map(jobRowOf), next: rows.length > shown.length ? String(shown.at(-1)!.seq) : null }
  }

  /** The jobs that may be queued again, of those that match, the oldest first: their rows' numbers. */
  function requeueable(filter: JobFilter): readonly number[] {
    const { where, values } = matching(filter)
    const rows = db.prepare(`SELECT seq FROM job WHERE ${where} AND ${REQUEUABLE} ORDER BY seq`).all(...values)
    return (rows as { seq: number }[]).map(({ seq }) => seq)
  }

  function stats(): Stats {
    const counted = new Map((counters.all() as { name: string; value: number }[]).map((row) => [row.name, row.value]))
    const jobs = (state: JobState) => counted.get(`job:${state}`) ?? 0
    const delivered = (disposition: Content['is']) => counted.get(`delivery:${disposition}`) ?? 0
    return {
      jobs: {
        expected: jobs('expected'),
        queued: jobs('queued'),
        running: jobs('running'),
        done: jobs('done'),
        dead: jobs('dead'),
      },
      deliveries: { job: delivered('job'), ignored: delivered('ignored'), rejected: delivered('rejected') },
      oldestQueuedAt: (oldest.get() as { queued_at: number | null }).queued_at,
      lastVerifiedAt: counted.get('last_verified_at') ?? null,
      paused: counted.get('paused') === 1,
    }
  }

  return { get, list, requeueable, stats }
}

type DeliveryRecord = {
  svix_id: string
  endpoint: string
  disposition: Content['is']
  status: string | null
  received_at: number
  last_at: number
  arrivals: number
}

type AttemptRecord = {
  started_at: number
  ms: number
  outcome: string
  code: string | null
  message: string | null
  recorded: string | null
  stage: Stage
  type: string | null
}

function deliveryRowOf(row: DeliveryRecord): DeliveryRow {
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

function attemptOf(row: AttemptRecord): Attempt {
  return {
    startedAt: row.started_at,
    ms: row.ms,
    stage: row.stage,
    outcome: row.outcome,
    reason: reasonOf(row.code, row.message),
    recorded: row.recorded,
    type: row.type,
  }
}
