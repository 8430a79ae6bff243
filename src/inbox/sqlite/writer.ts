import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { MAX_DELAY_MS, spread } from '../../backoff.ts'
import {
  afterRestart,
  ERASED,
  freshProgress,
  ISOLATE_AFTER_CRASHES,
  type JobProgress,
  type JobState,
  type KnownJob,
  onDelivery,
  onRequeue,
  PROCESS_DIED,
  type SideFilesProgress,
  type Stage,
  sideFilesAfterRestart,
  type Task,
} from '../../job.ts'
import type { Attempt, Claim, ClaimId, Delivery, Receipt, Requeue } from '../inbox.ts'
import { createClaims } from './claim.ts'
import { type JobTableRow, progressOf, type SideFilesRow, sideFilesOf } from './rows.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'

/** Attempts that are kept of a job. */
const ATTEMPTS_KEPT = 50
/** Of a body that concerns no job so much is kept: whoever has an endpoint's secret could fill the disk with others. */
const MAX_OTHER_BODY_BYTES = 4096

/** Everything that changes the database, as functions for one open transaction. */
export type Writer = ReturnType<typeof createWriter>

/** Where a part of many jobs stands among them. `since`: when the first is due, ms. */
export type RequeuePart = { readonly first: number; readonly total: number; readonly since: number }

export function createWriter(db: DatabaseSync) {
  const sql = prepareStatements(db)
  const tally = createTally(sql)
  const claims = createClaims(sql, tally)

  function accept(delivery: Delivery, now: number): Receipt {
    const { endpoint, content } = delivery
    tally.verified(delivery.receivedAt)
    const { seq: knownSeq, svixId } = findDelivery(delivery)
    const known = knownSeq !== null
    if (known) sql.countRepeat.run({ at: delivery.receivedAt, seq: knownSeq })
    if (content.is !== 'job') {
      if (!known) insertDelivery(delivery, svixId, false)
      return { duplicate: known, requeued: false, job: null }
    }
    const job = sql.job.get(content.jobId) as JobTableRow | undefined
    const effect = onDelivery(job ? knownJob(job) : null, { known, status: content.status })
    const seq = knownSeq ?? insertDelivery(delivery, svixId, job !== undefined && job.first_delivery !== null)
    if (!job) {
      sql.insertJob.run({ jobId: content.jobId, announced: content.status, endpoint, delivery: seq, at: now })
      tally.countTransition(null, 'queued')
      tally.queued('fetch')
      return { duplicate: known, requeued: false, job: 'queued' }
    }
    if (job.endpoint !== endpoint) sql.addEndpoint.run(content.jobId, endpoint)
    if (!known || effect.queue) sql.announce.run({ status: content.status, delivery: seq, at: now, seq: job.seq })
    else sql.touch.run(now, job.seq)
    if (effect.queue) queue(job, effect.queue, effect.refetch, now)
    else if (effect.refetch) sql.outdate.run(job.seq)
    return { duplicate: effect.duplicate, requeued: effect.requeued, job: effect.queue ? 'queued' : job.state }
  }

  /**
   * The delivery with this id, if it is the same message. One that named another job, or none, was another message with its
   * id, of an endpoint whose secret makes any id possible: this one is kept under an id of its own.
   */
  function findDelivery({ svixId, endpoint, content }: Delivery): { seq: number | null; svixId: string } {
    const jobId = content.is === 'job' ? content.jobId : null
    for (const id of [svixId, `${svixId}#${endpoint}#${jobId ?? ''}`]) {
      const found = sql.delivery.get(id) as { seq: number; job_id: string | null } | undefined
      if (!found) return { seq: null, svixId: id }
      if (found.job_id === jobId) return { seq: found.seq, svixId: id }
    }
    throw new Error('an id of our own making names another job')
  }

  function insertDelivery(delivery: Delivery, svixId: string, further: boolean): number {
    const { endpoint, content, receivedAt } = delivery
    const { lastInsertRowid } = sql.insertDelivery.run({
      svixId,
      endpoint,
      disposition: content.is,
      jobId: content.is === 'job' ? content.jobId : null,
      status: content.is === 'job' ? content.status : null,
      note: content.is === 'rejected' ? content.reason : null,
      further: further ? 1 : 0,
      at: receivedAt,
    })
    const body = Buffer.from(delivery.body)
    sql.insertBody.run(lastInsertRowid, content.is === 'job' ? body : body.subarray(0, MAX_OTHER_BODY_BYTES))
    tally.count(`delivery:${content.is}`, 1)
    return Number(lastInsertRowid)
  }

  function queue(job: JobTableRow, stage: Stage, refetch: boolean, now: number, dueAt = now): void {
    updateProgress(job.seq, job.state, freshProgress(stage, dueAt), now)
    sql.nextRound.run({ refetch: refetch ? 1 : 0, at: now, seq: job.seq })
    // A fetch brings all side files anew.
    if (refetch) sql.dropSideFiles.run(job.seq)
  }

  function updateProgress(seq: number, from: JobState, next: JobProgress, now: number): void {
    const { state, stage, failures, polls, crashes, dueAt, spent, goneSpent, reason } = next
    const [code, message] = [reason?.code ?? null, reason?.message ?? null]
    sql.updateProgress.run({
      ...{ state, stage, failures, polls, crashes, dueAt, spent, goneSpent },
      ...{ code, message, at: now, seq },
    })
    tally.countTransition(from, state)
    if (state === 'queued') tally.queued(stage)
  }

  function holds({ jobId, task, token }: ClaimId): JobTableRow | null {
    const job = sql.job.get(jobId) as JobTableRow | undefined
    if (!job) return null
    if (task !== 'side_files') return job.state === 'running' && job.token === token ? job : null
    const row = sql.sideFiles.get(job.seq) as SideFilesRow | undefined
    return row?.running === 1 && row.token === token ? job : null
  }

  function settle(claim: Claim, next: JobProgress, attempt: Attempt, sideFiles: SideFilesProgress | null, now: number) {
    const job = holds(claim)
    if (!job) return false
    noteAttempt(job.seq, claim.token, attempt)
    if (attempt.savedStatus !== null)
      sql.setSaved.run({ status: attempt.savedStatus, type: attempt.type, seq: job.seq })
    if (sideFiles) sql.putSideFiles.run({ ...sideFiles, seq: job.seq })
    updateProgress(job.seq, 'running', next, now)
    endedFor(job, now)
    // A delivery that came while the job ran may know better than what was fetched.
    const isOutdated = job.fetch_since > claim.round && (next.state === 'done' || next.stage === 'hand_over')
    if (isOutdated) updateProgress(job.seq, next.state, freshProgress('fetch', now), now)
    return true
  }

  function settleSideFiles(claim: Claim, next: SideFilesProgress | null, attempt: Attempt, now: number): boolean {
    const job = holds(claim)
    if (!job) return false
    noteAttempt(job.seq, claim.token, attempt)
    if (next) sql.putSideFiles.run({ ...next, seq: job.seq })
    else sql.dropSideFiles.run(job.seq)
    // A fetch may have waited for the end of this.
    tally.queued('fetch')
    endedFor({ crashes: 0 }, now)
    return true
  }

  /** A job that must run alone has ended, or waits for all others to end: that concerns both stages. */
  function endedFor({ crashes }: { crashes: number }, now: number): void {
    if (crashes < ISOLATE_AFTER_CRASHES && sql.isolated.get(now) === undefined) return
    for (const stage of ['fetch', 'hand_over'] as const) tally.queued(stage)
  }

  function noteAttempt(seq: number, token: number, attempt: Attempt): void {
    const { startedAt, ms, task, outcome, reason, savedStatus, type } = attempt
    const [code, message] = [reason?.code ?? null, reason?.message ?? null]
    sql.attempt.run({
      ...{ seq, token, startedAt, ms: Math.round(ms), outcome },
      ...{ code, message, savedStatus, task, type },
    })
    sql.oldAttempts.run({ seq, kept: ATTEMPTS_KEPT })
  }

  /** What was running when the last process ended. Only for the holder of the instance lock. */
  function recover(now: number): number {
    const asked = tally.value('stop_asked') === 1
    const running = sql.runningJobs.all() as JobTableRow[]
    for (const job of running) {
      if (!asked) noteAttempt(job.seq, job.token, diedDuring(job.stage, job.updated_at))
      updateProgress(job.seq, 'running', afterRestart(progressOf(job), now, asked), now)
    }
    for (const row of sql.runningSideFiles.all() as SideFilesRow[]) {
      if (!asked) noteAttempt(row.job, row.token, diedDuring('side_files', row.due_at))
      const next = sideFilesAfterRestart(sideFilesOf(row), now, asked)
      if (next) sql.putSideFiles.run({ ...next, seq: row.job })
      else sql.dropSideFiles.run(row.job)
    }
    tally.set('stop_asked', 0)
    tally.set('started_at', now)
    claims.clampDue(now)
    return running.length
  }

  /** Queues these jobs again, those of them that still may be; they are the ones from `first` on of `total`. */
  function requeue(seqs: readonly number[], { refetch = false }: Requeue, part: RequeuePart, now: number): number {
    let queued = 0
    for (const [index, seq] of seqs.entries()) {
      const job = sql.requeueable.get(seq) as JobTableRow | undefined
      if (!job) continue
      queued++
      const dueAt = part.since + Math.min(spread(part.first + index, part.total), MAX_DELAY_MS)
      const wanted = onRequeue(knownJob(job), { refetch })
      if (wanted) queue(job, wanted.queue, wanted.refetch, now, dueAt)
      else {
        sql.setDueAt.run({ dueAt: Math.min(dueAt, job.due_at), seq })
        tally.queued(job.stage)
      }
    }
    return queued
  }

  function erase(jobId: string, now: number): 'erased' | 'running' | 'unknown' {
    const job = sql.job.get(jobId) as JobTableRow | undefined
    if (!job) return 'unknown'
    const sideFiles = sql.sideFiles.get(job.seq) as SideFilesRow | undefined
    if (job.state === 'running' || sideFiles?.running === 1) return 'running'
    for (const statement of sql.eraseOf) statement.run(job.seq)
    updateProgress(job.seq, job.state, { ...freshProgress('fetch', now), state: 'done', reason: ERASED }, now)
    sql.setSaved.run({ status: null, type: job.type, seq: job.seq })
    return 'erased'
  }

  function linkKey(): Uint8Array {
    const stored = () => sql.secret.get('links') as { value: Uint8Array } | undefined
    if (!stored()) sql.setSecret.run('links', randomBytes(32))
    return stored()!.value
  }

  return {
    ...claims,
    accept,
    settle,
    settleSideFiles,
    /** Whether a claim still holds. */
    holds: (claim: ClaimId) => holds(claim) !== null,
    recover,
    requeue,
    erase,
    linkKey,
    tally,
    /** Writes, and changes nothing. */
    probe: () => tally.set('probe', 0),
    pause(on: boolean, reason: string | null, now: number): void {
      tally.set('paused', on ? 1 : 0)
      if (on) sql.startPause.run({ since: now, reason })
      else sql.endPause.run()
      for (const stage of ['fetch', 'hand_over'] as const) if (!on) tally.queued(stage)
    },
    paused: () => tally.value('paused') === 1,
    stopAsked: () => tally.set('stop_asked', 1),
  }
}

function knownJob(job: JobTableRow): KnownJob {
  return { state: job.state, stage: job.stage, savedStatus: job.saved_status, announced: job.announced }
}

function diedDuring(task: Task, startedAt: number): Attempt {
  return { startedAt, ms: 0, task, outcome: 'crashed', reason: PROCESS_DIED, savedStatus: null, type: null }
}
