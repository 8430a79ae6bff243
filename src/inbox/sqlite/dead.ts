import type { DatabaseSync } from 'node:sqlite'
import { type Cause, MAX_CAUSES, MAX_SOONEST } from '../journal.ts'
import { MAX_REQUEST_MS } from './walk.ts'

/** Entries of the index that one statement looks at. */
const STEP_ENTRIES = 10_000
/** Of each cause so many jobs are looked at for their kinds and endpoints, the newest ones. */
const MAX_LOOKED_AT = 100

/** Where a walk through the dead goes on: by cause, and by number within it. */
export type DeadCursor = { readonly cause: string; readonly after: number }

/** Some of the jobs that died of one cause. `unsaved`: how many Reducto may still have, `first`: the oldest of these. */
export type DeadStep = Pick<Cause, 'cause' | 'jobs' | 'firstAt' | 'lastAt' | 'soonestCreatedAt'> & {
  readonly newest: number
  readonly unsaved: number
  readonly first: readonly number[]
}

export type DeadPart = { readonly steps: readonly DeadStep[]; readonly next: DeadCursor | null }

/** Walks the dead in bounded parts: all that it needs is in the index `job_cause`. */
export function createDeadWalk(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  const nextCause = p(
    `SELECT MIN(cause) AS cause FROM job INDEXED BY job_cause WHERE state = 'dead' AND cause > :cause`,
  )
  const inStep = `FROM job INDEXED BY job_cause WHERE state = 'dead' AND cause = :cause AND seq > :after`
  const step = p(
    `SELECT COUNT(*) AS jobs, MIN(updated_at) AS firstAt, MAX(updated_at) AS lastAt, MAX(seq) AS newest,
       MIN(CASE WHEN isUnsaved THEN created_at END) AS soonestCreatedAt, SUM(isUnsaved) AS unsaved
     FROM (SELECT seq, updated_at, created_at, stage = 'fetch' AND created_at >= :from AS isUnsaved ${inStep}
       ORDER BY seq LIMIT ${STEP_ENTRIES})`,
  )
  const first = p(
    `SELECT seq ${inStep} AND seq <= :newest AND stage = 'fetch' AND created_at >= :from ORDER BY seq LIMIT ${MAX_SOONEST}`,
  )
  const details = p(
    `SELECT json_group_array(DISTINCT type) AS types, json_group_array(DISTINCT endpoint) AS endpoints
     FROM (SELECT type, endpoint FROM job INDEXED BY job_cause WHERE state = 'dead' AND cause = :cause
       ORDER BY seq DESC LIMIT ${MAX_LOOKED_AT})`,
  )
  const example = p('SELECT job_id AS jobId, reason_code AS code FROM job WHERE seq = :seq')

  function causeAfter(cause: string): string | null {
    return (nextCause.get({ cause }) as { cause: string | null }).cause
  }

  /** A part of the walk; `from`: see `purgedBefore`. */
  function dead(from: number, at: DeadCursor | null): DeadPart {
    const deadline = performance.now() + MAX_REQUEST_MS
    const steps: DeadStep[] = []
    let cause = at?.cause ?? causeAfter('')
    let after = at?.after ?? 0
    while (cause !== null) {
      const found = { ...step.get({ cause, after, from }) } as Omit<DeadStep, 'cause' | 'first'>
      if (found.jobs > 0) {
        const { newest } = found
        const seqs = found.unsaved > 0 ? first.all({ cause, after, newest, from }) : []
        steps.push({ ...found, cause, first: (seqs as { seq: number }[]).map(({ seq }) => seq) })
      }
      const isOver: boolean = found.jobs < STEP_ENTRIES
      after = isOver ? 0 : found.newest
      if (isOver) cause = causeAfter(cause)
      if (cause !== null && performance.now() >= deadline) return { steps, next: { cause, after } }
    }
    return { steps, next: null }
  }

  /** What of the groups is not in the index. A job that is dead no more meanwhile leaves its group without an example. */
  function describeCauses(groups: readonly DeadStep[]): readonly Cause[] {
    return groups.flatMap(({ cause, jobs, firstAt, lastAt, soonestCreatedAt, newest }) => {
      const found = example.get({ seq: newest }) as { jobId: string; code: string | null } | undefined
      if (!found) return []
      const { types, endpoints } = details.get({ cause }) as { types: string; endpoints: string }
      return {
        ...{
          cause,
          code: found.code ?? cause.split(':')[0]!,
          jobs,
          types: textsIn(types),
          endpoints: textsIn(endpoints),
        },
        ...{ firstAt, lastAt, sample: found.jobId, soonestCreatedAt },
      }
    })
  }

  return { dead, describeCauses }
}

/** The steps of a walk as one group for each cause, the newest death first, at most `MAX_CAUSES`. */
export function groupsOf(steps: readonly DeadStep[]): readonly DeadStep[] {
  const groups = [...Map.groupBy(steps, ({ cause }) => cause).values()].map((parts) => parts.reduce(together))
  return groups.sort((a, b) => b.lastAt - a.lastAt).slice(0, MAX_CAUSES)
}

function together(a: DeadStep, b: DeadStep): DeadStep {
  const soonest = [a.soonestCreatedAt, b.soonestCreatedAt].filter((at) => at !== null)
  return {
    cause: a.cause,
    jobs: a.jobs + b.jobs,
    firstAt: Math.min(a.firstAt, b.firstAt),
    lastAt: Math.max(a.lastAt, b.lastAt),
    newest: Math.max(a.newest, b.newest),
    soonestCreatedAt: soonest.length > 0 ? Math.min(...soonest) : null,
    unsaved: a.unsaved + b.unsaved,
    first: [...a.first, ...b.first],
  }
}

function textsIn(array: string): readonly string[] {
  return (JSON.parse(array) as (string | null)[]).filter((text) => text !== null).sort()
}
