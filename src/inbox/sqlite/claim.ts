import { MAX_DELAY_MS } from '../../backoff.ts'
import { chooseClaims } from '../../claims.ts'
import { ISOLATE_AFTER_CRASHES, type Stage, type Task } from '../../job.ts'
import type { Claim, Places } from '../inbox.ts'
import { type JobTableRow, progressOf, type SideFilesRow, sideFilesOf } from './rows.ts'
import type { Statements } from './statements.ts'
import type { Tally } from './tally.ts'

/** When something falls due that the last claim of its stage did not see, ms; null when nothing does. */
export type NextDue = Readonly<Record<Stage, number | null>>

/** Gives out due jobs: reads what there is, lets `chooseClaims` choose, and marks the rows. One writer: no other lock. */
export function createClaims(sql: Statements, tally: Tally) {
  let turn = 0
  /** What was due by then has been looked at by the last claim of the stage. */
  const claimedAt: Record<Stage, number> = { fetch: 0, hand_over: 0 }

  function claim(stage: Stage, places: Places, now: number): readonly Claim[] {
    claimedAt[stage] = now
    if (tally.value('paused') === 1 || places.limit <= 0) return []
    const running = sql.running.all() as RunningRow[]
    const sideFilesRunning = (sql.runningSideFiles.all() as SideFilesRow[]).length
    if (running.some((job) => job.crashes >= ISOLATE_AFTER_CRASHES)) return []
    const isolated = nextAlone(stage, places.isOtherOpen, now)
    if (isolated) {
      // Nothing new begins until it has had its turn alone.
      const isFree = running.length + sideFilesRunning === 0
      return isFree && isolated.stage === stage ? [take(isolated.seq, now)] : []
    }
    const limit = Math.min(places.limit, places.total)
    const stages = (sql.lanes.all() as { stage: Stage; endpoint: string }[]).filter((lane) => lane.stage === stage)
    const due = stages.map(({ endpoint }) => {
      const seqs = (statement: Statements['firstLooks']) =>
        (statement.all({ stage, endpoint, now, limit }) as { seq: number }[]).map(({ seq }) => seq)
      return { oldest: seqs(sql.firstLooks), newest: seqs(sql.newestLooks), retries: seqs(sql.retries) }
    })
    const sideFiles = stage === 'fetch' ? (sql.dueSideFiles.all({ now, limit }) as { seq: number }[]) : []
    const chosen = chooseClaims<number>({
      due,
      // Numbers of jobs: negative ones stand for their side files.
      sideFiles: sideFiles.map(({ seq }) => -seq),
      limit,
      places: places.total,
      runningRetries:
        running.filter((job) => job.stage === stage && job.is_retry === 1).length +
        (stage === 'fetch' ? sideFilesRunning : 0),
      newestFirst: places.newestFirst,
      turn,
    })
    turn += chosen.length
    return chosen.map((seq) => (seq < 0 ? takeSideFiles(-seq) : take(seq, now)))
  }

  /** The next job that must run alone: of this stage, or of the other one if that may claim now. */
  function nextAlone(stage: Stage, isOtherOpen: boolean, now: number) {
    const due = sql.isolated.all(now) as { seq: number; stage: Stage }[]
    return due.find((job) => isOtherOpen || job.stage === stage)
  }

  function take(seq: number, now: number): Claim {
    const token = tally.nextToken()
    const job = sql.jobBySeq.get(seq) as JobTableRow
    sql.markRunning.run({ token, now, seq })
    tally.countTransition('queued', 'running')
    return claimOf(job, job.stage, token)
  }

  function takeSideFiles(seq: number): Claim {
    const token = tally.nextToken()
    const row = sql.sideFiles.get(seq) as SideFilesRow
    sql.markSideFiles.run({ token, seq })
    const job = sql.jobBySeq.get(seq) as JobTableRow
    return { ...claimOf(job, 'side_files', token), sideFiles: sideFilesOf(row) }
  }

  function claimOf(job: JobTableRow, task: Task, token: number): Claim {
    const first = job.first_delivery === null ? undefined : (sql.firstDelivery.get(job.first_delivery) as FirstDelivery)
    const others = sql.endpoints.all(job.job_id) as { endpoint: string }[]
    return {
      jobId: job.job_id,
      task,
      token,
      progress: { ...progressOf(job), state: 'running' },
      sideFiles: null,
      endpoint: job.endpoint,
      endpoints: [job.endpoint, ...others.map((other) => other.endpoint)],
      svixId: first?.svix_id ?? null,
      receivedAt: first?.received_at ?? job.created_at,
      body: first?.body ? Buffer.from(first.body).toString('utf8') : null,
      announced: job.announced,
      round: job.round,
      fetchSince: job.fetch_since,
    }
  }

  function nextDue(): NextDue {
    const lanes = sql.lanes.all() as { stage: Stage; endpoint: string }[]
    const of = (stage: Stage) => {
      const after = claimedAt[stage]
      const times = lanes
        .filter((lane) => lane.stage === stage)
        .flatMap((lane) => [0, 1].map((isRetry) => sql.nextDue.get({ ...lane, isRetry, after })))
      if (stage === 'fetch') times.push(sql.nextSideFiles.get(after))
      times.push(sql.nextIsolated.get(after))
      const due = times.flatMap((row) => (row as { due_at: number | null }).due_at ?? [])
      return due.length > 0 ? Math.min(...due) : null
    }
    return { fetch: of('fetch'), hand_over: of('hand_over') }
  }

  /** A clock that jumped back would leave jobs far ahead: they are due within the longest delay. Returns whether any was. */
  function clampDue(now: number): boolean {
    const furthest = now + MAX_DELAY_MS
    for (const stage of ['fetch', 'hand_over'] as const) claimedAt[stage] = Math.min(claimedAt[stage], now)
    const lanes = sql.lanes.all() as { stage: Stage; endpoint: string }[]
    const isFar = lanes.some((lane) =>
      [0, 1].some(
        (isRetry) => ((sql.lastDue.get({ ...lane, isRetry }) as { due_at: number | null }).due_at ?? 0) > furthest,
      ),
    )
    const isAloneFar = ((sql.lastIsolated.get() as { due_at: number | null }).due_at ?? 0) > furthest
    const sideFiles = sql.clampSideFiles.run({ furthest })
    return ((isFar || isAloneFar) && sql.clampDue.run({ furthest }).changes > 0) || sideFiles.changes > 0
  }

  return { claim, nextDue, clampDue }
}

type RunningRow = { seq: number; stage: Stage; is_retry: number; crashes: number }
type FirstDelivery = { svix_id: string; received_at: number; body: Uint8Array | null }
