import { purgedBefore } from '../../purge.ts'
import {
  type Action,
  type ActionPage,
  type AtRisk,
  type Cause,
  type CountedSpan,
  hourOf,
  MAX_ACTION_IDS,
  MAX_CAUSES,
  MAX_SOONEST,
  type MinuteCounts,
  type NewAction,
  type Page,
  REFUSED,
  type Refused,
  refusalsFrom,
  spanOf,
  spansOf,
} from '../journal.ts'
import { ISOLATED, LANES } from './candidates.ts'
import type { Lane, Transaction } from './lane.ts'
import { storable } from './rows.ts'
import { cursorOf } from './walk.ts'
import { HAND_OVER } from './work.ts'

/** Of each endpoint so many queued jobs are looked at, those that are due first, which are seldom others than the oldest. */
const MAX_QUEUED = 5_000

/** $1: created before this time, a result is not at Reducto any more. */
const CAUSES = `
  SELECT dead.cause, sample.reason_code AS code, jobs, types, endpoints, first_at AS "firstAt", last_at AS "lastAt",
    sample.job_id AS sample, soonest AS "soonestCreatedAt"
  FROM (
    SELECT cause, count(*) AS jobs, min(updated_at) AS first_at, max(updated_at) AS last_at, max(seq) AS newest,
      coalesce(json_agg(DISTINCT type) FILTER (WHERE type IS NOT NULL), '[]') AS types, json_agg(DISTINCT endpoint) AS endpoints,
      min(created_at) FILTER (WHERE stage = 'fetch' AND created_at >= $1::bigint) AS soonest
    FROM job WHERE state = 'dead' AND cause IS NOT NULL GROUP BY cause ORDER BY last_at DESC, newest DESC LIMIT ${MAX_CAUSES}
  ) AS dead JOIN job AS sample ON sample.seq = dead.newest ORDER BY last_at DESC, newest DESC`

const RISK_COUNTS = `
  SELECT (SELECT coalesce(sum(CASE name WHEN '${HAND_OVER}' THEN -value ELSE value END), 0)::bigint FROM counter
            WHERE name IN ('job:queued', '${HAND_OVER}'))
    + (SELECT count(*) FROM job WHERE state = 'running' AND stage = 'fetch')
    + (SELECT count(*) FROM job WHERE state = 'dead' AND stage = 'fetch' AND created_at >= $1::bigint) AS jobs`
const RISK_SOONEST = `
  WITH ${LANES}, found AS (
    SELECT first.seq FROM lane, (VALUES (false), (true)) AS retry (is_retry), LATERAL
      (SELECT seq FROM (SELECT seq FROM job WHERE state = 'queued' AND crashes < 2 AND stage = 'fetch' AND endpoint = lane.endpoint
          AND job.is_retry = retry.is_retry ORDER BY due_at LIMIT ${MAX_QUEUED}) AS due ORDER BY seq LIMIT ${MAX_SOONEST}) AS first
      WHERE lane.stage = 'fetch'
    UNION ALL SELECT seq FROM job WHERE ${ISOLATED} AND stage = 'fetch'
    UNION ALL SELECT seq FROM job WHERE state = 'running' AND stage = 'fetch'
    UNION ALL (SELECT seq FROM job WHERE state = 'dead' AND stage = 'fetch' AND created_at >= $1::bigint ORDER BY seq LIMIT ${MAX_SOONEST})
  )
  SELECT job.job_id AS "jobId", created_at AS "createdAt", coalesce(received_at, created_at) AS "receivedAt"
  FROM found JOIN job USING (seq) LEFT JOIN delivery ON delivery.seq = first_delivery ORDER BY job.seq LIMIT ${MAX_SOONEST}`

/** What operators did with one job, the latest first. */
export const ACTIONS_OF_JOB = `
  SELECT at, who, role, what, action_job.round FROM action_job JOIN action ON action.seq = action_seq
  JOIN job ON job.seq = job_seq WHERE job_id = $1 ORDER BY action_seq DESC`
const ACTIONS = 'SELECT * FROM action WHERE seq < $1 ORDER BY seq DESC LIMIT $2::integer'
const REFUSALS = `
  SELECT substr(name, ${REFUSED.length + 1}) AS reason, sum(n)::bigint AS count, max(at) AS "lastAt" FROM minute
  WHERE at >= $1 AND starts_with(name, '${REFUSED}') GROUP BY name ORDER BY max(at) DESC, name`

/** Why jobs died, who did what, and what was counted. `now` is the inbox's time, ms. */
export function createJournal(lane: Lane) {
  const ask = <R extends object>(text: string, values: readonly unknown[]) =>
    lane.transaction((tx) => tx.query<R>(text, values))

  async function atRisk(now: number): Promise<AtRisk> {
    const values = [Math.round(purgedBefore(now))]
    const [counts, soonest] = await lane.transaction((tx) =>
      tx.all([
        { text: RISK_COUNTS, values },
        { text: RISK_SOONEST, values },
      ]),
    )
    return { jobs: counts![0]!.jobs as number, soonest: soonest as unknown as AtRisk['soonest'] }
  }

  async function actions(page: Page): Promise<ActionPage> {
    const found = await ask<ActionRow>(ACTIONS, [cursorOf(page), page.limit + 1])
    const rows = found.slice(0, page.limit)
    const last = found.length > rows.length ? rows.at(-1) : undefined
    return { rows: rows.map(actionOf), next: last ? String(last.seq) : null, searchedTo: last?.at ?? null }
  }

  async function minutes(from: number, to: number, now: number): Promise<readonly CountedSpan[]> {
    const span = spanOf(from, to, now)
    const rows = await ask<{ at: number; name: string; n: number }>(
      `SELECT at, name, n FROM ${span.table} WHERE at >= $1 AND at < $2 ORDER BY at, name`,
      [Math.round(span.from), Math.round(span.to)],
    )
    return spansOf(rows, span.ms)
  }

  return {
    causes: (now: number) => ask<Cause>(CAUSES, [Math.round(purgedBefore(now))]),
    atRisk,
    actions,
    minutes,
    refusals: (since: number, now: number) => ask<Refused>(REFUSALS, [Math.round(refusalsFrom(since, now))]),
  }
}

type ActionRow = Omit<Action, 'filter' | 'ids'> & { readonly filter: string | null; readonly ids: string }

function actionOf({ seq, at, who, role, what, count, filter, ids }: ActionRow): Action {
  return {
    ...{ seq, at, who, role, what, count },
    filter: filter === null ? null : (JSON.parse(filter) as Action['filter']),
    ids: JSON.parse(ids) as readonly string[],
  }
}

/** Returns the number of the action. */
export async function noteAction(tx: Transaction, action: NewAction, now: number): Promise<number> {
  const { who, role, what, filter, count, ids } = action
  const [row] = await tx.query<{ seq: number }>(
    'INSERT INTO action (at, who, role, what, filter, count, ids) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING seq',
    [
      ...[Math.round(now), storable(who), role, what],
      ...[filter === null ? null : JSON.stringify(filter), count, JSON.stringify(ids.slice(0, MAX_ACTION_IDS))],
    ],
  )
  return row!.seq
}

const addTo = (table: 'minute' | 'hour') => `
  INSERT INTO ${table} AS t (at, name, n) SELECT at, name, sum(n) FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS c (at, name, n)
  GROUP BY at, name ORDER BY at, name
  ON CONFLICT (at, name) DO UPDATE SET n = t.n + excluded.n`

/** Adds to the counts of minutes and hours. */
export async function addCounts(tx: Transaction, minutes: readonly MinuteCounts[]): Promise<void> {
  const rows = minutes.flatMap(({ at, counts }) =>
    Object.entries(counts).map(([name, n]) => ({ at, name: storable(name), n })),
  )
  const [names, numbers] = [rows.map(({ name }) => name), rows.map(({ n }) => n)]
  await tx.commit([
    { text: addTo('minute'), values: [rows.map(({ at }) => at), names, numbers] },
    { text: addTo('hour'), values: [rows.map(({ at }) => hourOf(at)), names, numbers] },
  ])
}
