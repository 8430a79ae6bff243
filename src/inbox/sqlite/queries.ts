import type { DatabaseSync } from 'node:sqlite'
import type { JobState, Stage } from '../../job.ts'
import type { Registered } from '../expected.ts'
import type {
  Content,
  JobDetail,
  JobFilter,
  JobPage,
  JobRow,
  OperatorPause,
  Page,
  ServiceState,
  Stats,
} from '../inbox.ts'
import { hasMetadata } from '../metadata.ts'
import { isInHand, jobRowOf } from '../transitions.ts'
import { createExpectedQueries } from './expected.ts'
import { createFinder } from './find.ts'
import { createJournal } from './journal.ts'
import { createLookups, textOf } from './lookups.ts'
import {
  type AttemptTableRow,
  attemptOf,
  type DeliveryTableRow,
  deliveryRowOf,
  HAS_METADATA,
  IN_LANE,
  ISOLATED,
  JOB_COLUMNS,
  type JobTableRow,
  LANES,
  matching,
  REQUEUEABLE,
  rareState,
  type SideFilesRow,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'
import { defineSearch } from './search-functions.ts'
import type { Signals } from './signals.ts'
import { HAND_OVER, VERIFIED } from './tally.ts'
import { cursorOf, MAX_REQUEST_MS, STEP_BODIES, STEP_ROWS, walkDown } from './walk.ts'

/** Everything that only looks, on a connection of its own: a long look does not hold up an accept. */
export type Queries = ReturnType<typeof createQueries>

type DueRow = { readonly stage: Stage; readonly due_at: number }
type FirstDueRow = DueRow & { readonly queued_at: number }

/** Jobs that may be queued again, by number; `next` is where the walk goes on. */
export type RequeueablePart = { readonly seqs: readonly number[]; readonly next: number | null }

/** The first of jobs that match, from the oldest on; else where the walk goes on, null at its end. */
export type OldestPart = { readonly row: JobRow | null; readonly next: number | null }

export function createQueries(db: DatabaseSync, signals: Signals | null) {
  defineSearch(db)
  db.function(HAS_METADATA, (body, wanted) =>
    body instanceof Uint8Array && hasMetadata(textOf(body), JSON.parse(String(wanted))) ? 1 : 0,
  )
  const journal = createJournal(db)
  const finder = createFinder(db, signals)
  const job = db.prepare(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = :jobId`)
  const endpoints = db.prepare('SELECT endpoint FROM job_endpoint WHERE job_id = :jobId ORDER BY endpoint')
  const deliveries = db.prepare(
    `SELECT * FROM delivery WHERE seq = :first UNION ALL SELECT * FROM delivery WHERE is_later = 1 AND job_id = :jobId ORDER BY seq`,
  )
  const attempts = db.prepare('SELECT * FROM attempt WHERE job_seq = :seq ORDER BY token DESC')
  const sideFiles = db.prepare('SELECT * FROM side_files WHERE job_seq = :seq')
  const registration = db.prepare(
    'SELECT registered_by AS "by", registered_at AS at FROM registration WHERE job_seq = :seq',
  )
  const counters = db.prepare('SELECT name, value FROM counter')
  const newest = db.prepare('SELECT MAX(seq) AS seq FROM job')
  const bounds = db.prepare('SELECT MIN(seq) AS first, MAX(seq) AS last FROM job')
  const pause = db.prepare('SELECT paused_at AS since, paused_reason AS reason FROM operator_pause')
  const startedAt = db.prepare(`SELECT value FROM counter WHERE name = 'started_at'`)
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
      registered: (registration.get({ seq: row.seq }) as Registered['registered'] | undefined) ?? null,
      isRunning: isInHand(stored, missing ? storedSideFilesOf(missing) : null),
      endpoints: [row.endpoint, ...others.map((other) => other.endpoint)],
      round: row.round,
      queuedAt: row.queued_at,
      deliveries: (deliveries.all({ first: row.first_delivery, jobId }) as DeliveryTableRow[]).map(deliveryRowOf),
      actions: journal.actionsOf(row.seq),
      attempts: (attempts.all({ seq: row.seq }) as AttemptTableRow[]).map(attemptOf),
    }
  }

  function walk<Row extends { seq: number }>(
    columns: string,
    condition: string,
    filter: JobFilter,
    before: number,
    enough: number,
  ) {
    const { where, values } = matching(filter)
    const statement = db.prepare(
      `SELECT ${columns} FROM ${jobsOf(filter)} WHERE seq < :before AND seq >= :from AND ${where} AND ${condition} ORDER BY seq DESC LIMIT :limit`,
    )
    const stepFrom = stepDown(filter)
    return walkDown<Row>({
      ...{ before, enough, newest: (newest.get() as { seq: number | null }).seq ?? 0 },
      stepFrom,
      read: (range) => statement.all({ ...values, ...range }) as unknown as Row[],
    })
  }

  function list(filter: JobFilter, page: Page): JobPage {
    const { q } = filter
    const isNamed = filter.jobId !== undefined || filter.jobIds !== undefined
    const { rows, next } = isNamed
      ? listNamed(filter, page)
      : q
        ? finder.find({ ...filter, q }, page)
        : walk<JobTableRow>(JOB_COLUMNS, 'TRUE', filter, cursorOf(page), page.limit)
    return {
      rows: rows.map((row) => jobRowOf(storedJobOf(row))),
      next: next === null ? null : String(next),
      searchedTo: next === null ? null : createdBefore(next),
    }
  }

  /** By their ids jobs are found at once. */
  function listNamed(filter: JobFilter, page: Page) {
    const { where, values } = matching(filter)
    const statement = db.prepare(
      `SELECT ${JOB_COLUMNS} FROM job WHERE seq < :before AND ${where} ORDER BY seq DESC LIMIT :limit`,
    )
    const found = statement.all({ ...values, before: cursorOf(page), limit: page.limit + 1 })
    const rows = (found as unknown as JobTableRow[]).slice(0, page.limit)
    return { rows, next: found.length > rows.length ? (rows.at(-1)?.seq ?? null) : null }
  }

  /** A part of the walk from the oldest job on, from `after`: the first that matches, or where the walk goes on. */
  function oldest(filter: JobFilter, after: number): OldestPart {
    const { where, values } = matching(filter)
    const statement = db.prepare(
      `SELECT ${JOB_COLUMNS} FROM ${jobsOf(filter)} WHERE seq > :after AND seq <= :to AND ${where} ORDER BY seq LIMIT 1`,
    )
    const { first, last } = bounds.get() as { first: number | null; last: number | null }
    const stepTo = stepUp(filter, last ?? 0)
    const deadline = performance.now() + MAX_REQUEST_MS
    let at = Math.max(after, (first ?? 1) - 1)
    while (at < (last ?? 0)) {
      const to = stepTo(at)
      const row = statement.get({ ...values, after: at, to }) as JobTableRow | undefined
      if (row) return { row: jobRowOf(storedJobOf(row)), next: null }
      at = to
      if (performance.now() >= deadline) return { row: null, next: at }
    }
    return { row: null, next: null }
  }

  /** Where a step down ends: of a rare state it goes over all others. */
  function stepDown(filter: JobFilter): (before: number) => number {
    const rare = rareState(filter)
    if (rare === null) return (before) => before - stepOf(filter)
    const end = db.prepare(
      `SELECT seq FROM ${jobsOf(filter)} WHERE ${rare.where} AND seq < :before ORDER BY seq DESC LIMIT 1 OFFSET ${stepOf(filter) - 1}`,
    )
    return (before) => (end.get({ before }) as { seq: number } | undefined)?.seq ?? 1
  }

  /** The same upwards, to `last` at most. */
  function stepUp(filter: JobFilter, last: number): (after: number) => number {
    const rare = rareState(filter)
    if (rare === null) return (after) => after + stepOf(filter)
    const end = db.prepare(
      `SELECT seq FROM ${jobsOf(filter)} WHERE ${rare.where} AND seq > :after ORDER BY seq LIMIT 1 OFFSET ${stepOf(filter) - 1}`,
    )
    return (after) => (end.get({ after }) as { seq: number } | undefined)?.seq ?? last
  }

  const createdAt = db.prepare('SELECT created_at FROM job WHERE seq >= :seq ORDER BY seq LIMIT 1')
  function createdBefore(seq: number): number | null {
    return (createdAt.get({ seq }) as { created_at: number } | undefined)?.created_at ?? null
  }

  /** The jobs that may be queued again, of those that match, the newest first: a part, from below `before`. */
  function requeueable(filter: JobFilter, before: number | null): RequeueablePart {
    if (filter.jobIds !== undefined) return { seqs: requeueableNamed(filter, filter.jobIds), next: null }
    const row = filter.jobId === undefined ? undefined : (job.get({ jobId: filter.jobId }) as JobTableRow | undefined)
    if (filter.jobId !== undefined && !row) return { seqs: [], next: null }
    const from = before ?? (row ? row.seq + 1 : Number.MAX_SAFE_INTEGER)
    const { rows, next } = walk<{ seq: number }>('seq', REQUEUEABLE, filter, from, STEP_ROWS)
    return { seqs: rows.map(({ seq }) => seq), next: row ? null : next }
  }

  /** Last to first, as a walk finds them: what queues them turns that round. */
  function requeueableNamed(filter: JobFilter, jobIds: readonly string[]): number[] {
    const { where, values } = matching(filter)
    const statement = db.prepare(`SELECT job_id, seq FROM job WHERE ${where} AND ${REQUEUEABLE}`)
    const found = statement.all(values) as { job_id: string; seq: number }[]
    const seqs = new Map(found.map((row) => [row.job_id, row.seq]))
    return [...new Set(jobIds)].flatMap((jobId) => seqs.get(jobId) ?? []).reverse()
  }

  function pauseNow(): OperatorPause | null {
    return (pause.get() as OperatorPause | undefined) ?? null
  }

  function service(): ServiceState {
    const started = startedAt.get() as { value: number } | undefined
    return { pause: pauseNow(), startedAt: started?.value ?? null }
  }

  function stats(): Stats {
    const counted = new Map((counters.all() as { name: string; value: number }[]).map((row) => [row.name, row.value]))
    const jobs = (state: JobState) => counted.get(`job:${state}`) ?? 0
    const delivered = (disposition: Content['is']) => counted.get(`delivery:${disposition}`) ?? 0
    const first = (lanes.all() as { stage: string; endpoint: string }[]).flatMap((lane) =>
      [0, 1].flatMap((isRetry) => (firstDue.get({ ...lane, isRetry }) as FirstDueRow | undefined) ?? []),
    )
    const handing = counted.get(HAND_OVER) ?? 0
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
      endpoints: verifiedIn(counted),
      queued: { fetch: jobs('queued') - handing, hand_over: handing },
      paused: pauseNow() !== null,
    }
  }

  const { searchLag } = finder
  return {
    get,
    list,
    oldest,
    requeueable,
    stats,
    service,
    searchLag,
    ...journal.queries,
    ...createLookups(db),
    ...createExpectedQueries(db),
  }
}

/** When each endpoint's last verified delivery came, by the counters. */
function verifiedIn(counted: ReadonlyMap<string, number>): Stats['endpoints'] {
  return [...counted]
    .filter(([name]) => name.startsWith(VERIFIED))
    .map(([name, lastVerifiedAt]) => ({ endpoint: name.slice(VERIFIED.length), lastVerifiedAt }))
    .sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1))
}

/** Jobs, by the index of the rare state that a filter is for. */
function jobsOf(filter: JobFilter): string {
  const rare = rareState(filter)
  return rare === null ? 'job' : `job INDEXED BY ${rare.index}`
}

/** Rows that one statement looks at. */
function stepOf(filter: JobFilter): number {
  return filter.metadata === undefined && filter.q === undefined ? STEP_ROWS : STEP_BODIES
}
