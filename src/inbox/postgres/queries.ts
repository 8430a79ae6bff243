import type { JobState, Stage } from '../../job.ts'
import type { Registered } from '../expected.ts'
import type {
  Content,
  JobAction,
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
import { matches } from '../search/matches.ts'
import { parseQuery } from '../search/query.ts'
import { isInHand, jobRowOf } from '../transitions.ts'
import { BODY_OF_JOB, ISOLATED, LANES, REQUEUEABLE } from './candidates.ts'
import { overdueJobs } from './expected.ts'
import { matching, STARTS } from './filters.ts'
import { ACTIONS_OF_JOB, createJournal } from './journal.ts'
import type { Lane } from './lane.ts'
import { createLookups } from './lookups.ts'
import {
  type AttemptTableRow,
  attemptOf,
  DELIVERY_COLUMNS,
  type DeliveryTableRow,
  deliveryRowOf,
  JOB_COLUMNS,
  type JobTableRow,
  type SideFilesRow,
  storable,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'
import { cursorOf, STEP_BODIES, STEP_ROWS, walkDown } from './walk.ts'
import { HAND_OVER } from './work.ts'

/** Everything that only looks, on a connection of its own: a long look does not hold up an accept. */
export type Queries = ReturnType<typeof createQueries>

const JOB = `SELECT ${JOB_COLUMNS} FROM job WHERE job_id = $1`
const ENDPOINTS = 'SELECT endpoint FROM job_endpoint WHERE job_id = $1 ORDER BY endpoint'
const DELIVERIES = `
  SELECT ${DELIVERY_COLUMNS} FROM delivery WHERE seq = (SELECT first_delivery FROM job WHERE job_id = $1)
  UNION ALL SELECT ${DELIVERY_COLUMNS} FROM delivery WHERE is_later AND job_id = $1 ORDER BY seq`
const ATTEMPTS =
  'SELECT attempt.* FROM attempt JOIN job ON job.seq = job_seq WHERE job_id = $1 ORDER BY attempt.token DESC'
const SIDE_FILES = 'SELECT side_files.* FROM side_files JOIN job ON job.seq = job_seq WHERE job_id = $1'
const REGISTERED = `SELECT registered_by AS "by", registered_at AS at FROM registration JOIN job ON job.seq = job_seq WHERE job_id = $1`
/** The first that waits in each lane, and of those that must run alone. */
const FIRST_DUE = `
  WITH ${LANES}
  SELECT lane.stage, first.queued_at, first.due_at FROM lane, (VALUES (false), (true)) AS retry (is_retry), LATERAL
    (SELECT queued_at, due_at FROM job WHERE state = 'queued' AND crashes < 2 AND stage = lane.stage
       AND endpoint = lane.endpoint AND job.is_retry = retry.is_retry ORDER BY due_at LIMIT 1) AS first
  UNION ALL SELECT stage, NULL, min(due_at) FROM job WHERE ${ISOLATED} GROUP BY stage`
const COUNTERS = `SELECT name, CASE WHEN starts_with(name, 'last_verified_at') THEN max(value) ELSE sum(value)::bigint END AS value
  FROM counter GROUP BY name`
const PAUSE = 'SELECT since, reason FROM operator_pause'

export function createQueries(lane: Lane) {
  const ask = <R extends object>(text: string, values: readonly unknown[] = []) =>
    lane.transaction((tx) => tx.query<R>(text, values))

  async function get(jobId: string): Promise<JobDetail | null> {
    const texts = [JOB, ENDPOINTS, DELIVERIES, ATTEMPTS, SIDE_FILES, ACTIONS_OF_JOB, REGISTERED]
    const [jobs, endpoints, deliveries, attempts, sideFiles, actions, registered] = await lane.transaction((tx) =>
      tx.all(texts.map((text) => ({ text, values: [storable(jobId)] }))),
    )
    const row = jobs![0] as JobTableRow | undefined
    if (!row) return null
    const job = storedJobOf(row)
    const missing = sideFiles![0] as SideFilesRow | undefined
    return {
      ...jobRowOf(job),
      isRunning: isInHand(job, missing ? storedSideFilesOf(missing) : null),
      registered: (registered![0] as Registered['registered']) ?? null,
      endpoints: [row.endpoint, ...endpoints!.map(({ endpoint }) => endpoint as string)],
      deliveries: (deliveries as DeliveryTableRow[]).map(deliveryRowOf),
      round: row.round,
      queuedAt: row.queued_at,
      actions: actions as JobAction[],
      attempts: (attempts as AttemptTableRow[]).map(attemptOf),
    }
  }

  /** Jobs from the newest on. With a filter of metadata their bodies are read, and looked at here. */
  async function walk(condition: string, filter: JobFilter, before: number, enough: number) {
    const { where, values } = matching(filter, 4)
    const read = async (range: { before: number; from: number; limit: number }) =>
      ask<JobTableRow>(
        `SELECT ${JOB_COLUMNS} FROM job WHERE seq < $1 AND seq >= $2 AND ${where} AND ${condition} ORDER BY seq DESC LIMIT $3::integer`,
        [range.before, range.from, range.limit, ...values],
      )
    const [newest] = await ask<{ seq: number | null }>('SELECT max(seq) AS seq FROM job')
    return walkDown<JobTableRow>({
      ...{ before, enough, newest: newest?.seq ?? 0 },
      stepFrom: async (at) => at - (needsBodies(filter) ? STEP_BODIES : STEP_ROWS),
      read: (range) =>
        needsBodies(filter) ? looked(filter, (limit) => read({ ...range, limit }), range.limit) : read(range),
    })
  }

  /** Of the rows that are read, those whose body or ids have what is asked for. */
  async function looked(
    { metadata, q }: JobFilter,
    read: (limit: number) => Promise<readonly JobTableRow[]>,
    limit: number,
  ): Promise<readonly JobTableRow[]> {
    const query = q === undefined ? undefined : parseQuery(q)
    if (query === null) return []
    const rows = await read(STEP_BODIES)
    const texts = await ask<{ seq: number; body: Buffer | null; starts: boolean }>(
      `SELECT seq, ${BODY_OF_JOB} AS body, ${STARTS} AS starts FROM job WHERE seq = ANY($2::bigint[])`,
      [storable(query?.text ?? ''), rows.map(({ seq }) => seq)],
    )
    const bySeq = new Map(texts.map((one) => [one.seq, one]))
    const isFound = (row: JobTableRow) => {
      const found = bySeq.get(row.seq)
      const body = found?.body?.toString('utf8') ?? null
      if (metadata && (body === null || !hasMetadata(body, metadata))) return false
      if (query === undefined || (found?.starts && !query.isBlank)) return true
      return matches(query, { state: row.state, code: row.reason_code, message: row.reason_message, body })
    }
    return rows.filter(isFound).slice(0, limit)
  }

  async function list(filter: JobFilter, page: Page): Promise<JobPage> {
    const isNamed = filter.jobId !== undefined || filter.jobIds !== undefined
    const { rows, next } = isNamed
      ? await listNamed(filter, page)
      : await walk('TRUE', filter, cursorOf(page), page.limit)
    return {
      rows: rows.map((row) => jobRowOf(storedJobOf(row))),
      next: next === null ? null : String(next),
      searchedTo: next === null ? null : await createdBefore(next),
    }
  }

  /** By their ids jobs are found at once. */
  async function listNamed(filter: JobFilter, page: Page) {
    const found = await named(filter, 'TRUE', cursorOf(page))
    const rows = found.slice(0, page.limit)
    return { rows, next: found.length > rows.length ? (rows.at(-1)?.seq ?? null) : null }
  }

  async function named(filter: JobFilter, condition: string, before: number): Promise<readonly JobTableRow[]> {
    const { where, values } = matching(filter, 2)
    const read = () =>
      ask<JobTableRow>(
        `SELECT ${JOB_COLUMNS} FROM job WHERE seq < $1 AND ${where} AND ${condition} ORDER BY seq DESC`,
        [before, ...values],
      )
    return needsBodies(filter) ? looked(filter, read, Number.MAX_SAFE_INTEGER) : read()
  }

  /** The first that matches, from the oldest on. */
  async function oldest(filter: JobFilter): Promise<JobRow | null> {
    const { where, values } = matching(filter, 3)
    const [bounds] = await ask<{ first: number | null; last: number | null }>(
      'SELECT min(seq) AS first, max(seq) AS last FROM job',
    )
    const step = needsBodies(filter) ? STEP_BODIES : STEP_ROWS
    for (let at = (bounds?.first ?? 1) - 1; at < (bounds?.last ?? 0); at += step) {
      const text = `SELECT ${JOB_COLUMNS} FROM job WHERE seq > $1 AND seq <= $2 AND ${where} ORDER BY seq`
      const read = () => ask<JobTableRow>(needsBodies(filter) ? text : `${text} LIMIT 1`, [at, at + step, ...values])
      const [row] = needsBodies(filter) ? await looked(filter, read, 1) : await read()
      if (row) return jobRowOf(storedJobOf(row))
    }
    return null
  }

  async function createdBefore(seq: number): Promise<number | null> {
    const [row] = await ask<{ at: number }>('SELECT created_at AS at FROM job WHERE seq >= $1 ORDER BY seq LIMIT 1', [
      seq,
    ])
    return row?.at ?? null
  }

  /** The ids of jobs that may be queued again, of those that match: as they are named, else the oldest first. */
  async function requeueable(filter: JobFilter): Promise<readonly string[]> {
    if (filter.jobIds !== undefined || filter.jobId !== undefined) {
      const found = new Set((await named(filter, REQUEUEABLE, Number.MAX_SAFE_INTEGER)).map(({ job_id }) => job_id))
      return [...new Set(filter.jobIds ?? [filter.jobId!])].filter((jobId) => found.has(jobId))
    }
    const jobIds: string[] = []
    let before: number | null = Number.MAX_SAFE_INTEGER
    while (before !== null) {
      const part: Awaited<ReturnType<typeof walk>> = await walk(REQUEUEABLE, filter, before, STEP_ROWS)
      jobIds.push(...part.rows.map((row) => row.job_id))
      before = part.next
    }
    return jobIds.reverse()
  }

  /** The service that runs, or ran last, is the replica that started last. */
  async function service(): Promise<ServiceState> {
    const [pause, started] = await lane.transaction((tx) =>
      tx.all([{ text: PAUSE }, { text: 'SELECT max(started_at) AS at FROM replica' }]),
    )
    return { pause: (pause![0] as OperatorPause | undefined) ?? null, startedAt: (started![0]?.at as number) ?? null }
  }

  async function stats(): Promise<Stats> {
    const [counters, due, pause] = await lane.transaction((tx) =>
      tx.all([{ text: COUNTERS, values: [] }, { text: FIRST_DUE, values: [] }, { text: PAUSE }]),
    )
    const counted = new Map((counters as { name: string; value: number }[]).map((row) => [row.name, row.value]))
    const jobs = (state: JobState) => counted.get(`job:${state}`) ?? 0
    const delivered = (disposition: Content['is']) => counted.get(`delivery:${disposition}`) ?? 0
    const handing = counted.get(HAND_OVER) ?? 0
    const first = due as { stage: Stage; queued_at: number | null; due_at: number }[]
    const oldestDue = (stage: Stage) => least(first.filter((row) => row.stage === stage).map((row) => row.due_at))
    return {
      jobs: {
        ...{ expected: jobs('expected'), queued: jobs('queued'), running: jobs('running') },
        ...{ done: jobs('done'), dead: jobs('dead') },
      },
      deliveries: { job: delivered('job'), ignored: delivered('ignored'), rejected: delivered('rejected') },
      oldestQueuedAt: least(first.flatMap((row) => row.queued_at ?? [])),
      oldestDueAt: { fetch: oldestDue('fetch'), hand_over: oldestDue('hand_over') },
      lastVerifiedAt: counted.get('last_verified_at') ?? null,
      endpoints: verifiedIn(counted),
      queued: { fetch: jobs('queued') - handing, hand_over: handing },
      paused: pause!.length > 0,
    }
  }

  return {
    get,
    list,
    oldest,
    requeueable,
    stats,
    service,
    overdue: overdueJobs.bind(null, lane),
    ...createJournal(lane),
    ...createLookups(lane),
  }
}

const VERIFIED = 'last_verified_at:'

/** When each endpoint's last verified delivery came, by the counters. */
function verifiedIn(counted: ReadonlyMap<string, number>): Stats['endpoints'] {
  return [...counted]
    .filter(([name]) => name.startsWith(VERIFIED))
    .map(([name, lastVerifiedAt]) => ({ endpoint: name.slice(VERIFIED.length), lastVerifiedAt }))
    .sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1))
}

/** Whether a filter asks for what stands in a body: those are read in smaller steps, and looked at here. */
function needsBodies({ metadata, q }: JobFilter): boolean {
  return metadata !== undefined || q !== undefined
}

function least(times: readonly number[]): number | null {
  return times.length > 0 ? Math.min(...times) : null
}
