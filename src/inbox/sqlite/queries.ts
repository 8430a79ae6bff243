import type { DatabaseSync } from 'node:sqlite'
import type { JobState, Stage } from '../../job.ts'
import type { Content, JobDetail, JobFilter, JobPage, Stats } from '../inbox.ts'
import { isInHand, jobRowOf } from '../transitions.ts'
import {
  type AttemptTableRow,
  attemptOf,
  type DeliveryTableRow,
  deliveryRowOf,
  IN_LANE,
  ISOLATED,
  JOB_COLUMNS,
  type JobTableRow,
  LANES,
  matching,
  REQUEUEABLE,
  type SideFilesRow,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'

/** Rows that one statement looks at. */
const STEP_ROWS = 5_000
/** A request looks for this long at most, ms; then it says how far it got. */
const MAX_REQUEST_MS = 40

/** Everything that only looks, on a connection of its own: a long look does not hold up an accept. */
export type Queries = ReturnType<typeof createQueries>

type DueRow = { readonly stage: Stage; readonly due_at: number }
type FirstDueRow = DueRow & { readonly queued_at: number }

/** Jobs that may be queued again, by number; `next` is where the walk goes on. */
export type RequeueablePart = { readonly seqs: readonly number[]; readonly next: number | null }

export function createQueries(db: DatabaseSync) {
  const job = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = :jobId`)
  const endpoints = db.prepare('SELECT endpoint FROM job_endpoint WHERE job_id = :jobId ORDER BY endpoint')
  const deliveries = db.prepare(
    `SELECT * FROM delivery WHERE seq = :first UNION ALL SELECT * FROM delivery WHERE is_later = 1 AND job_id = :jobId ORDER BY seq`,
  )
  const attempts = db.prepare('SELECT * FROM attempt WHERE job_seq = :seq ORDER BY token DESC')
  const sideFiles = db.prepare('SELECT * FROM side_files WHERE job_seq = :seq')
  const counters = db.prepare('SELECT name, value FROM counter')
  const newest = db.prepare('SELECT MAX(seq) AS seq FROM job')
  const lanes = db.prepare(LANES)
  const firstDue = db.prepare(
    `SELECT stage, queued_at, due_at FROM job WHERE ${IN_LANE} AND is_retry = :isRetry ORDER BY due_at LIMIT 1`,
  )
  const isolatedDue = db.prepare(`SELECT stage, MIN(due_at) AS due_at FROM job WHERE ${ISOLATED} GROUP BY stage`)

  function get(jobId: string): JobDetail | null {
    const row = job.get({ jobId }) as JobTableRow | undefined
    if (!row) return null
    const others = endpoints.all({ jobId }) as { endpoint: string }[]
    const stored = storedJobOf(row)
    const missing = sideFiles.get({ seq: row.seq }) as SideFilesRow | undefined
    return {
      ...jobRowOf(stored),
      isRunning: isInHand(stored, missing ? storedSideFilesOf(missing) : null),
      endpoints: [row.endpoint, ...others.map((other) => other.endpoint)],
      deliveries: (deliveries.all({ first: row.first_delivery, jobId }) as DeliveryTableRow[]).map(deliveryRowOf),
      attempts: (attempts.all({ seq: row.seq }) as AttemptTableRow[]).map(attemptOf),
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
    let at = Math.min(before, ((newest.get() as { seq: number | null }).seq ?? 0) + 1)
    while (at > 1) {
      const from = Math.max(at - STEP_ROWS, 1)
      const limit = enough - rows.length
      const found = statement.all({ ...values, before: at, from, limit }) as unknown as Row[]
      rows.push(...found)
      at = found.length === limit ? found.at(-1)!.seq : from
      if (rows.length >= enough || performance.now() >= deadline) break
    }
    return { rows, next: at > 1 ? at : null }
  }

  function list(filter: JobFilter, page: { limit: number; cursor?: string }): JobPage {
    if (filter.jobId !== undefined) return listOne(filter)
    const before = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(page.cursor)
    const { rows, next } = walk<JobTableRow>(JOB_COLUMNS, 'TRUE', filter, before, page.limit)
    return {
      rows: rows.map((row) => jobRowOf(storedJobOf(row))),
      next: next === null ? null : String(next),
      searchedTo: next === null ? null : createdBefore(next),
    }
  }

  /** By its id a job is found at once. */
  function listOne(filter: JobFilter): JobPage {
    const { where, values } = matching(filter)
    const rows = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE ${where}`).all(values) as unknown as JobTableRow[]
    return { rows: rows.map((row) => jobRowOf(storedJobOf(row))), next: null, searchedTo: null }
  }

  const createdAt = db.prepare('SELECT created_at FROM job WHERE seq >= :seq ORDER BY seq LIMIT 1')
  function createdBefore(seq: number): number | null {
    return (createdAt.get({ seq }) as { created_at: number } | undefined)?.created_at ?? null
  }

  /** The jobs that may be queued again, of those that match, the newest first: a part, from below `before`. */
  function requeueable(filter: JobFilter, before: number | null): RequeueablePart {
    const row = filter.jobId === undefined ? undefined : (job.get({ jobId: filter.jobId }) as JobTableRow | undefined)
    if (filter.jobId !== undefined && !row) return { seqs: [], next: null }
    const from = before ?? (row ? row.seq + 1 : Number.MAX_SAFE_INTEGER)
    const { rows, next } = walk<{ seq: number }>('seq', REQUEUEABLE, filter, from, STEP_ROWS)
    return { seqs: rows.map(({ seq }) => seq), next: row ? null : next }
  }

  function stats(): Stats {
    const counted = new Map((counters.all() as { name: string; value: number }[]).map((row) => [row.name, row.value]))
    const jobs = (state: JobState) => counted.get(`job:${state}`) ?? 0
    const delivered = (disposition: Content['is']) => counted.get(`delivery:${disposition}`) ?? 0
    const first = (lanes.all() as { stage: string; endpoint: string }[]).flatMap((lane) =>
      [0, 1].flatMap((isRetry) => (firstDue.get({ ...lane, isRetry }) as FirstDueRow | undefined) ?? []),
    )
    const queuedAt = first.map((row) => row.queued_at)
    const due = [...first, ...(isolatedDue.all() as DueRow[])]
    const oldestDue = (stage: Stage) => {
      const times = due.filter((row) => row.stage === stage).map((row) => row.due_at)
      return times.length > 0 ? Math.min(...times) : null
    }
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
      oldestDueAt: { fetch: oldestDue('fetch'), hand_over: oldestDue('hand_over') },
      lastVerifiedAt: counted.get('last_verified_at') ?? null,
      paused: counted.get('paused') === 1,
    }
  }

  return { get, list, requeueable, stats }
}
