import { furthestDue } from '../../backoff.ts'
import { chooseClaims, planClaims } from '../../claims.ts'
import type { Stage, Task } from '../../job.ts'
import type { Claim, FreeSlots } from '../inbox.ts'
import { afterClaim, claimOf, type StoredJob } from '../transitions.ts'
import type { NextDue } from '../wake-up.ts'
import { type JobTableRow, type SideFilesRow, storedJobOf, storedSideFilesOf } from './rows.ts'
import type { Statements } from './statements.ts'
import type { Tally } from './tally.ts'

/**
 * Claims due jobs: reads the candidates, lets `claims.ts` choose, and marks the rows. There is one writer, so no other
 * lock is needed.
 */
export function createClaims(sql: Statements, tally: Tally) {
  let turn = 0
  /** The last claim of the stage has seen everything that was due by this time. */
  const claimedAt: Record<Stage, number> = { fetch: 0, hand_over: 0 }

  const lanes = () => sql.lanes.all() as { stage: Stage; endpoint: string }[]

  function claim(stage: Stage, slots: FreeSlots, now: number): readonly Claim[] {
    claimedAt[stage] = now
    const running = sql.running.all() as { stage: Stage; isRetry: number; crashes: number }[]
    const plan = planClaims({
      ...{ stage, ...slots, isPaused: sql.pause.get() !== undefined },
      running: running.map((job) => ({ ...job, isRetry: job.isRetry === 1 })),
      sideFilesRunning: sql.runningSideFiles.all().length,
      isolated: sql.isolated.all(now) as { seq: number; stage: Stage }[],
    })
    if (plan.is === 'nothing') return []
    if (plan.is === 'alone') return [take(plan.job.seq, now)]
    const { limit, runningRetries } = plan
    const due = lanes()
      .filter((lane) => lane.stage === stage)
      .map((lane) => {
        const seqs = (statement: Statements['firstLooks']) => seqsOf(statement.all({ ...lane, now, limit }))
        return { oldest: seqs(sql.firstLooks), newest: seqs(sql.newestLooks), retries: seqs(sql.retries) }
      })
    const sideFiles = stage === 'fetch' ? seqsOf(sql.dueSideFiles.all({ now, limit })) : []
    const chosen = chooseClaims<number>({
      // Numbers of jobs; negative numbers stand for their side files.
      ...{ due, sideFiles: sideFiles.map((seq) => -seq), limit, slots: slots.total },
      ...{ runningRetries, newestFirst: slots.newestFirst, turn },
    })
    turn += chosen.length
    return chosen.map((seq) => (seq < 0 ? takeSideFiles(-seq) : take(seq, now)))
  }

  function jobOf(seq: number): StoredJob {
    return storedJobOf(sql.jobBySeq.get(seq) as JobTableRow)
  }

  function take(seq: number, now: number): Claim {
    const token = tally.nextToken()
    const job = jobOf(seq)
    const { updatedAt } = afterClaim(job, token, now)
    sql.markRunning.run({ seq, token, updatedAt })
    tally.countTransition(job.progress, { ...job.progress, state: 'running' })
    return given(seq, job, job.progress.stage, token)
  }

  function takeSideFiles(seq: number): Claim {
    const token = tally.nextToken()
    const row = sql.sideFiles.get(seq) as SideFilesRow
    sql.markSideFiles.run({ token, seq })
    return given(seq, jobOf(seq), 'side_files', token, row)
  }

  function given(seq: number, job: StoredJob, task: Task, token: number, sideFiles: SideFilesRow | null = null): Claim {
    const first = job.firstDelivery
    const others = sql.endpoints.all(job.jobId) as { endpoint: string }[]
    return claimOf(job, task, token, {
      first: first === null ? null : ((sql.firstDelivery.get(first) ?? null) as FirstDelivery | null),
      registered: (sql.registration.get(seq) as { body: Uint8Array | null } | undefined)?.body ?? null,
      others: others.map(({ endpoint }) => endpoint),
      sideFiles: sideFiles && storedSideFilesOf(sideFiles),
    })
  }

  function nextDue(): NextDue {
    const all = lanes()
    const of = (stage: Stage) => {
      const after = claimedAt[stage]
      const times = all
        .filter((lane) => lane.stage === stage)
        .flatMap((lane) => [0, 1].map((isRetry) => dueAtOf(sql.nextDue.get({ ...lane, isRetry, after }))))
      if (stage === 'fetch') times.push(dueAtOf(sql.nextSideFiles.get({ after })))
      times.push(dueAtOf(sql.nextIsolated.get({ after })))
      const due = times.filter((time) => time !== null)
      return due.length > 0 ? Math.min(...due) : null
    }
    return { fetch: of('fetch'), hand_over: of('hand_over') }
  }

  /** Moves due times back that a clock that jumped back has left too far ahead. Returns whether it moved any. */
  function clampDue(now: number): boolean {
    const furthest = furthestDue(now)
    for (const stage of ['fetch', 'hand_over'] as const) claimedAt[stage] = Math.min(claimedAt[stage], now)
    const last = lanes().flatMap((lane) => [0, 1].map((isRetry) => dueAtOf(sql.lastDue.get({ ...lane, isRetry }))))
    const isFar = [...last, dueAtOf(sql.lastIsolated.get())].some((dueAt) => (dueAt ?? 0) > furthest)
    const sideFiles = sql.clampSideFiles.run({ furthest }).changes
    const jobs = isFar ? sql.clampDue.run({ furthest }).changes : 0
    return Number(jobs) + Number(sideFiles) > 0
  }

  return { claim, nextDue, clampDue }
}

type FirstDelivery = { svixId: string; receivedAt: number; body: Uint8Array | null }

function seqsOf(rows: readonly unknown[]): number[] {
  return (rows as { seq: number }[]).map(({ seq }) => seq)
}

/** Reads a row with the earliest or latest due time; null when there is none. */
function dueAtOf(row: unknown): number | null {
  return (row as { dueAt: number | null }).dueAt
}
