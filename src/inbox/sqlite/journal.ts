import type { DatabaseSync } from 'node:sqlite'
import {
  type Action,
  type ActionPage,
  type AtRisk,
  type CountedSpan,
  type JobAction,
  MAX_SOONEST,
  type Page,
  REFUSED,
  type Refused,
  refusalsFrom,
  spanOf,
  spansOf,
} from '../journal.ts'
import { createDeadWalk } from './dead.ts'
import { IN_LANE, ISOLATED, LANES } from './rows.ts'
import { HAND_OVER } from './tally.ts'
import { cursorOf } from './walk.ts'

/** Jobs that must run alone are few. */
const MAX_LOOKED_AT = 500
/** Of each endpoint so many queued jobs are looked at, those that are due first, which are seldom others than the oldest. */
const MAX_QUEUED = 5_000

/** Reads why jobs died, who did what, and what was counted. */
export function createJournal(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  const counter = p('SELECT value FROM counter WHERE name = :name')
  const lanes = p(LANES)
  const queued = p(
    `SELECT seq FROM (SELECT seq FROM job WHERE ${IN_LANE} AND is_retry = :isRetry ORDER BY due_at LIMIT ${MAX_QUEUED})
     ORDER BY seq LIMIT ${MAX_SOONEST}`,
  )
  const isolated = p(`SELECT seq FROM job WHERE ${ISOLATED} AND stage = 'fetch' ORDER BY due_at LIMIT ${MAX_LOOKED_AT}`)
  const running = p(`SELECT seq FROM job WHERE state = 'running' AND stage = 'fetch' ORDER BY seq`)
  const announced = p(
    `SELECT job.job_id AS jobId, created_at AS createdAt, COALESCE(received_at, created_at) AS receivedAt
     FROM job LEFT JOIN delivery ON delivery.seq = first_delivery WHERE job.seq = :seq`,
  )

  const actionsBelow = p('SELECT * FROM action WHERE seq < :before ORDER BY seq DESC LIMIT :limit')
  const ofJob = p(
    `SELECT at, who, role, what, round FROM action_job JOIN action ON action.seq = action_seq WHERE job_seq = :seq
     ORDER BY action_seq DESC`,
  )
  const counts = {
    minute: p('SELECT at, name, n FROM minute WHERE at >= :from AND at < :to ORDER BY at, name'),
    hour: p('SELECT at, name, n FROM hour WHERE at >= :from AND at < :to ORDER BY at, name'),
  }
  const refused = p(
    `SELECT substr(name, ${REFUSED.length + 1}) AS reason, SUM(n) AS count, MAX(at) AS lastAt FROM minute
     WHERE at >= :from AND substr(name, 1, ${REFUSED.length}) = '${REFUSED}' GROUP BY name ORDER BY lastAt DESC, name`,
  )

  function counted(name: string): number {
    return (counter.get({ name }) as { value: number } | undefined)?.value ?? 0
  }

  /** What waits to be fetched, or is. `dead`: how many dead ones Reducto may still have, and the oldest of these. */
  function atRisk(dead: { readonly jobs: number; readonly first: readonly number[] }): AtRisk {
    const fetching = (lanes.all() as { stage: string; endpoint: string }[]).filter(({ stage }) => stage === 'fetch')
    const runs = seqsOf(running.all())
    const first = [
      ...fetching.flatMap((lane) => [0, 1].flatMap((isRetry) => seqsOf(queued.all({ ...lane, isRetry })))),
      ...seqsOf(isolated.all()),
      ...runs,
      ...dead.first,
    ]
    const soonest = first.sort((a, b) => a - b).slice(0, MAX_SOONEST)
    return {
      jobs: counted('job:queued') - counted(HAND_OVER) + runs.length + dead.jobs,
      soonest: soonest.flatMap((seq) => (announced.get({ seq }) as AtRisk['soonest'][number] | undefined) ?? []),
    }
  }

  function actions(page: Page): ActionPage {
    const found = actionsBelow.all({ before: cursorOf(page), limit: page.limit + 1 }) as unknown as ActionRow[]
    const rows = found.slice(0, page.limit)
    const last = found.length > rows.length ? rows.at(-1) : undefined
    return {
      rows: rows.map(actionOf),
      next: last === undefined ? null : String(last.seq),
      searchedTo: last?.at ?? null,
    }
  }

  /** What operators did with one job. */
  function actionsOf(seq: number): readonly JobAction[] {
    return (ofJob.all({ seq }) as JobAction[]).map((row) => ({ ...row }))
  }

  function minutes(from: number, to: number, now: number): readonly CountedSpan[] {
    const span = spanOf(from, to, now)
    const rows = counts[span.table].all({ from: span.from, to: span.to }) as { at: number; name: string; n: number }[]
    return spansOf(rows, span.ms)
  }

  function refusals(since: number, now: number): readonly Refused[] {
    return (refused.all({ from: refusalsFrom(since, now) }) as Refused[]).map((row) => ({ ...row }))
  }

  return { queries: { ...createDeadWalk(db), atRisk, actions, minutes, refusals }, actionsOf }
}

type ActionRow = Omit<Action, 'filter' | 'ids'> & { readonly filter: string | null; readonly ids: string }

function actionOf({ filter, ids, ...action }: ActionRow): Action {
  const { seq, at, who, role, what, count } = action
  return {
    ...{ seq, at, who, role, what, count },
    filter: filter === null ? null : (JSON.parse(filter) as Action['filter']),
    ids: JSON.parse(ids) as readonly string[],
  }
}

function seqsOf(rows: readonly unknown[]): number[] {
  return (rows as { seq: number }[]).map(({ seq }) => seq)
}
