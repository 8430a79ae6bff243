import { type ClaimPlan, chooseClaims, planClaims } from '../../claims.ts'
import type { Stage } from '../../job.ts'
import type { Claim, FreeSlots } from '../inbox.ts'
import { claimOf } from '../transitions.ts'
import type { NextDue } from '../wake-up.ts'
import { hasLiveHolder, ISOLATED, LANES, OPEN_SIDE_FILES } from './candidates.ts'
import type { Transaction } from './lane.ts'
import { JOB_COLUMNS, type JobTableRow, type SideFilesRow, storedJobOf, storedSideFilesOf } from './rows.ts'
import { HAND_OVER } from './work.ts'

/**
 * Claims due jobs: reads the candidates, lets `claims.ts` choose, and takes the chosen ones that no other replica took
 * meanwhile (SKIP LOCKED). Only what is given out is locked.
 */

/** Looks for candidates within one claim, when other replicas took the chosen ones first. */
const MAX_ROUNDS = 4

/** What this replica works on, and what falls due next. $1: this replica; $2, $3: what the last claim of each stage saw. */
const STANDING = `
  SELECT EXISTS (SELECT 1 FROM operator_pause) AS is_paused,
    ${hasLiveHolder('$1')} AS is_alive,
    (SELECT coalesce(json_agg(json_build_object('stage', stage, 'isRetry', is_retry, 'crashes', crashes)), '[]')
       FROM job WHERE state = 'running' AND holder = $1) AS running,
    (SELECT count(*) FROM side_files WHERE is_running AND holder = $1) AS side_files_running,
    (SELECT min(due_at) FROM side_files WHERE NOT is_running AND due_at > $2::bigint) AS next_side_files,
    (SELECT min(due_at) FROM job WHERE ${ISOLATED} AND due_at > $2) AS next_isolated_fetch,
    (SELECT min(due_at) FROM job WHERE ${ISOLATED} AND due_at > $3::bigint) AS next_isolated_hand_over`

const NEXT_DUE = `
  WITH ${LANES}
  SELECT stage, min(next.due_at) AS due_at FROM lane, (VALUES (false), (true)) AS retry (is_retry), LATERAL
    (SELECT min(job.due_at) AS due_at FROM job WHERE state = 'queued' AND crashes < 2 AND stage = lane.stage
       AND endpoint = lane.endpoint AND job.is_retry = retry.is_retry
       AND job.due_at > CASE lane.stage WHEN 'fetch' THEN $1::bigint ELSE $2::bigint END) AS next
  GROUP BY stage`

/** Jobs that must run alone. One replica at a time does that: $1, when it has the duty or nobody alive has. */
const ALONE = `
  SELECT seq, stage FROM job WHERE ${ISOLATED} AND due_at <= $2::bigint
    AND NOT EXISTS (SELECT 1 FROM duty WHERE task = 'alone' AND holder <> $1::bigint AND ${hasLiveHolder('duty.holder')})
  ORDER BY due_at, seq LIMIT 100`

const TAKE_DUTY = `
  INSERT INTO duty (task, holder) VALUES ('alone', $1::bigint)
  ON CONFLICT (task) DO UPDATE SET holder = excluded.holder
    WHERE duty.holder = excluded.holder OR NOT ${hasLiveHolder('duty.holder')}
  RETURNING holder`

/** $1: stage, $2: now, $3: limit. A job is not fetched while side files are added to its saved result. */
const list = (name: string, isRetry: boolean, order: 'ASC' | 'DESC') => `
  SELECT lane.endpoint, '${name}' AS list, due.seq, due.due_at FROM lane, LATERAL
    (SELECT seq, due_at FROM job WHERE state = 'queued' AND crashes < 2 AND stage = $1 AND endpoint = lane.endpoint
       AND is_retry = ${isRetry} AND due_at <= $2::bigint
       AND ($1 = 'hand_over' OR NOT EXISTS (SELECT 1 FROM side_files WHERE job_seq = job.seq AND is_running))
     ORDER BY due_at ${order}, seq ${order} LIMIT $3::integer) AS due
  WHERE lane.stage = $1`
const DUE = `WITH ${LANES}
  ${list('oldest', false, 'ASC')} UNION ALL ${list('newest', false, 'DESC')} UNION ALL ${list('retries', true, 'ASC')}`
const DUE_SIDE_FILES = `
  SELECT job_seq AS seq FROM side_files JOIN job ON job.seq = job_seq
  WHERE ${OPEN_SIDE_FILES} AND side_files.due_at <= $1::bigint ORDER BY side_files.due_at LIMIT $2::integer`

/** What a claim tells beside the job itself. */
const WITH_DELIVERY = `(SELECT body FROM registration WHERE job_seq = taken.seq) AS registered, delivery.svix_id, delivery.received_at, delivery.body,
  (SELECT json_agg(endpoint ORDER BY endpoint) FROM job_endpoint WHERE job_endpoint.job_id = taken.job_id) AS others`

/** $1: the chosen, $2: this replica, $3: now, $4: its counters. */
const TAKE = `
  WITH free AS MATERIALIZED (
    SELECT seq FROM job WHERE seq = ANY($1::bigint[]) AND state = 'queued' AND due_at <= $3::bigint FOR UPDATE SKIP LOCKED
  ), taken AS (
    UPDATE job SET state = 'running', token = nextval('claim_token'), holder = $2::bigint, updated_at = $3
    FROM free WHERE job.seq = free.seq AND ${hasLiveHolder('$2')}
    RETURNING ${JOB_COLUMNS}
  ), counted AS (
    INSERT INTO counter (name, source, value)
    SELECT name, $4::bigint, by * (SELECT count(*) FROM taken WHERE c.stage IN ('', taken.stage))
    FROM (VALUES ('job:queued', -1, ''), ('job:running', 1, ''), ('${HAND_OVER}', -1, 'hand_over')) AS c (name, by, stage)
    WHERE EXISTS (SELECT 1 FROM taken) ORDER BY name
    ON CONFLICT (name, source) DO UPDATE SET value = counter.value + excluded.value
  )
  SELECT taken.*, ${WITH_DELIVERY} FROM taken LEFT JOIN delivery ON delivery.seq = taken.first_delivery`
const TAKE_SIDE_FILES = `
  WITH free AS MATERIALIZED (
    SELECT job_seq FROM side_files JOIN job ON job.seq = job_seq
    WHERE job_seq = ANY($1::bigint[]) AND ${OPEN_SIDE_FILES} AND side_files.due_at <= $3::bigint FOR UPDATE SKIP LOCKED
  ), marked AS (
    UPDATE side_files SET is_running = true, token = nextval('claim_token'), holder = $2::bigint
    FROM free WHERE side_files.job_seq = free.job_seq AND ${hasLiveHolder('$2')}
    RETURNING side_files.*
  ), taken AS (
    SELECT ${JOB_COLUMNS}, row_to_json(marked) AS side_files FROM marked JOIN job ON job.seq = marked.job_seq
  )
  SELECT taken.*, ${WITH_DELIVERY} FROM taken LEFT JOIN delivery ON delivery.seq = taken.first_delivery`

type Standing = {
  readonly is_paused: boolean
  readonly is_alive: boolean
  readonly running: readonly { readonly stage: Stage; readonly isRetry: boolean; readonly crashes: number }[]
  readonly side_files_running: number
  readonly next_side_files: number | null
  readonly next_isolated_fetch: number | null
  readonly next_isolated_hand_over: number | null
}
type DueRow = { readonly endpoint: string; readonly list: 'oldest' | 'newest' | 'retries'; readonly seq: number }
type TakenRow = JobTableRow & {
  readonly svix_id: string | null
  readonly received_at: number
  readonly body: Buffer | null
  readonly registered: Buffer | null
  readonly others: readonly string[] | null
  readonly side_files?: SideFilesRow
}

export type Claimed = { readonly claims: readonly Claim[]; readonly nextDue: NextDue; readonly isPaused: boolean }

export type ClaimOptions = {
  readonly replica: number
  readonly source: number
  readonly now: number
  /** Jobs that this process has claimed so far, so that turns continue where they ended. */
  readonly turn: number
  /** Until when the last claim of each stage, of which this is one, has seen everything that was due, ms. */
  readonly claimedAt: Readonly<Record<Stage, number>>
}

/** Claims within a transaction of its own, which it commits. */
export async function claimJobs(
  tx: Transaction,
  stage: Stage,
  slots: FreeSlots,
  options: ClaimOptions,
): Promise<Claimed> {
  const { replica } = options
  const now = Math.round(options.now)
  const limit = Math.max(Math.min(slots.limit, slots.total), 1)
  const seen = [Math.round(options.claimedAt.fetch), Math.round(options.claimedAt.hand_over)]
  const candidates = [
    { text: DUE, values: [stage, now, limit] },
    { text: DUE_SIDE_FILES, values: [now, stage === 'fetch' ? limit : 0] },
  ]
  const [standings, next, isolated, ...due] = await tx.all([
    { text: STANDING, values: [replica, ...seen] },
    { text: NEXT_DUE, values: seen },
    { text: ALONE, values: [replica, now] },
    ...candidates,
  ])
  const standing = standings![0] as unknown as Standing
  const plan = planClaims<{ seq: number; stage: Stage }>({
    ...{ stage, ...slots, isPaused: standing.is_paused || !standing.is_alive },
    running: standing.running,
    sideFilesRunning: standing.side_files_running,
    isolated: isolated as { seq: number; stage: Stage }[],
  })
  const hasDuty = isolated!.length === 0 || (await tx.query(TAKE_DUTY, [replica])).length > 0
  const claims = hasDuty ? await take(tx, plan, { stage, slots, options, now, due, candidates }) : []
  await tx.commit()
  return { claims, nextDue: nextDueOf(next as StageDue[], standing), isPaused: standing.is_paused }
}

type Taking = {
  readonly stage: Stage
  readonly slots: FreeSlots
  readonly options: ClaimOptions
  readonly now: number
  readonly due: readonly object[][]
  readonly candidates: readonly { readonly text: string; readonly values: readonly unknown[] }[]
}

async function take(
  tx: Transaction,
  plan: ClaimPlan<{ seq: number; stage: Stage }>,
  { stage, slots, options, now, candidates, ...first }: Taking,
): Promise<readonly Claim[]> {
  const { replica, source } = options
  if (plan.is === 'nothing') return []
  if (plan.is === 'alone') return takeJobs(tx, [plan.job.seq], { replica, source, now })
  const claims: Claim[] = []
  let { due } = first
  for (let round = 1; ; round++) {
    const chosen = chooseClaims<number>({
      // Numbers of jobs; negative numbers stand for their side files.
      due: dueOf(due[0] as DueRow[]),
      sideFiles: (due[1] as { seq: number }[]).map(({ seq }) => -seq),
      ...{ limit: plan.limit - claims.length, slots: slots.total, newestFirst: slots.newestFirst },
      runningRetries: plan.runningRetries + claims.filter(isRetrying).length,
      turn: options.turn + claims.length,
    })
    const jobs = chosen.filter((seq) => seq > 0)
    const sideFiles = chosen.filter((seq) => seq < 0).map((seq) => -seq)
    const taken = [
      ...(jobs.length > 0 ? await takeJobs(tx, jobs, { replica, source, now }) : []),
      ...(sideFiles.length > 0 ? await takeSideFiles(tx, sideFiles, { replica, now }) : []),
    ]
    claims.push(...taken)
    // Other replicas took some: what is due beside those?
    if (taken.length === chosen.length || round === MAX_ROUNDS) break
    due = await tx.all(candidates)
  }
  return claims.sort((a, b) => order(a) - order(b))

  /** Side files come last; the others stand as they were chosen. */
  function order({ task }: Claim): number {
    return task === 'side_files' ? 1 : 0
  }
}

function isRetrying({ progress, task }: Claim): boolean {
  return task === 'side_files' || progress.failures + progress.polls > 0
}

async function takeJobs(
  tx: Transaction,
  seqs: readonly number[],
  { replica, source, now }: { readonly replica: number; readonly source: number; readonly now: number },
): Promise<Claim[]> {
  const rows = await tx.query<TakenRow>(TAKE, [seqs, replica, now, source])
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  return seqs.flatMap((seq) => {
    const row = bySeq.get(seq)
    return row ? [given(row, null)] : []
  })
}

async function takeSideFiles(
  tx: Transaction,
  seqs: readonly number[],
  { replica, now }: { readonly replica: number; readonly now: number },
): Promise<Claim[]> {
  const rows = await tx.query<TakenRow>(TAKE_SIDE_FILES, [seqs, replica, now])
  return rows.map((row) => given(row, row.side_files ?? null))
}

function given(row: TakenRow, sideFiles: SideFilesRow | null): Claim {
  const job = storedJobOf(row)
  const { svix_id: svixId, received_at: receivedAt, body } = row
  return claimOf(job, sideFiles ? 'side_files' : job.progress.stage, sideFiles?.token ?? job.token, {
    first: svixId === null ? null : { svixId, receivedAt, body },
    others: row.others ?? [],
    registered: row.registered,
    sideFiles: sideFiles && storedSideFilesOf(sideFiles),
  })
}

function dueOf(rows: readonly DueRow[]) {
  const endpoints = Map.groupBy(rows, ({ endpoint }) => endpoint)
  return [...endpoints]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, all]) => {
      const of = (name: DueRow['list']) => all.filter((row) => row.list === name).map(({ seq }) => seq)
      return { oldest: of('oldest'), newest: of('newest'), retries: of('retries') }
    })
}

type StageDue = { readonly stage: Stage; readonly due_at: number | null }

function nextDueOf(rows: readonly StageDue[], standing: Standing): NextDue {
  const of = (stage: Stage) => {
    const times = [
      rows.find((row) => row.stage === stage)?.due_at ?? null,
      standing[`next_isolated_${stage}`],
      stage === 'fetch' ? standing.next_side_files : null,
    ].filter((time) => time !== null)
    return times.length > 0 ? Math.min(...times) : null
  }
  return { fetch: of('fetch'), hand_over: of('hand_over') }
}
