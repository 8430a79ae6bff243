import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { wakesBothStages } from '../../claims.ts'
import type { JobProgress, SideFilesProgress } from '../../job.ts'
import { identify, keptBody } from '../deliveries.ts'
import type { Attempt, Claim, ClaimId, Delivery, Receipt, Requeue } from '../inbox.ts'
import {
  ATTEMPTS_KEPT,
  afterDeath,
  afterDelivery,
  afterErasure,
  afterRequeue,
  afterSettle,
  type Changed,
  isHeld,
  isInHand,
  progressOf,
  requeuedAt,
  type StoredJob,
  type StoredSideFiles,
  sideFilesAfterDeath,
} from '../transitions.ts'
import { createClaims } from './claim.ts'
import {
  columnsOf,
  type JobTableRow,
  reasonColumns,
  type SideFilesRow,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'

/** Everything that changes the database, as functions for one open transaction. */
export type Writer = ReturnType<typeof createWriter>

/** Where a part of many jobs stands among them. `since`: when the first is due, ms. */
export type RequeuePart = { readonly first: number; readonly total: number; readonly since: number }

/** A job and the number of its row. */
type FoundJob = { readonly seq: number; readonly job: StoredJob }

export function createWriter(db: DatabaseSync) {
  const sql = prepareStatements(db)
  const tally = createTally(sql)
  const claims = createClaims(sql, tally)

  function accept(delivery: Delivery, now: number): Receipt {
    const { endpoint, content, receivedAt } = delivery
    tally.verified(receivedAt)
    const { svixId, earlier } = identify(
      delivery,
      (id) => sql.delivery.get(id) as { seq: number; jobId: string | null } | undefined,
    )
    if (earlier) sql.countRepeat.run({ at: receivedAt, seq: earlier.seq })
    if (content.is !== 'job') {
      if (!earlier) insertDelivery(delivery, svixId, false)
      return { duplicate: earlier !== null, requeued: false, job: null }
    }
    const { jobId, status } = content
    const found = find(jobId)
    const isLater = found !== null && found.job.firstDelivery !== null
    const number = earlier?.seq ?? insertDelivery(delivery, svixId, isLater)
    const arrival = { jobId, status, endpoint, number, known: earlier !== null }
    const { receipt, ...changed } = afterDelivery(found?.job ?? null, arrival, now)
    if (found) put(found, changed)
    else insertJob(changed.job)
    if (changed.job.endpoint !== endpoint) sql.addEndpoint.run({ jobId, endpoint })
    return receipt
  }

  function insertDelivery(delivery: Delivery, svixId: string, isLater: boolean): number {
    const { endpoint, content, receivedAt } = delivery
    const { lastInsertRowid } = sql.insertDelivery.run({
      svixId,
      endpoint,
      disposition: content.is,
      jobId: content.is === 'job' ? content.jobId : null,
      status: content.is === 'job' ? content.status : null,
      isLater: isLater ? 1 : 0,
      at: receivedAt,
    })
    sql.insertBody.run({ seq: lastInsertRowid, body: keptBody(delivery) })
    tally.count(`delivery:${content.is}`, 1)
    return Number(lastInsertRowid)
  }

  function find(jobId: string): FoundJob | null {
    const row = sql.job.get(jobId) as JobTableRow | undefined
    return row ? { seq: row.seq, job: storedJobOf(row) } : null
  }

  function insertJob(job: StoredJob): void {
    const { jobId, endpoint, announced, firstDelivery, createdAt, progress } = job
    sql.insertJob.run({ jobId, endpoint, announced, firstDelivery, createdAt })
    tally.countTransition(null, progress.state)
    tally.queued(progress.stage)
  }

  function put({ seq, job: was }: FoundJob, { job, dropsSideFiles }: Changed): void {
    if (dropsSideFiles) sql.dropSideFiles.run({ seq })
    const { announced, firstDelivery, round, fetchSince, updatedAt, progress } = job
    if (progress === was.progress) {
      sql.saveNews.run({ seq, announced, firstDelivery, round, fetchSince, updatedAt })
      return
    }
    sql.saveJob.run({ seq, ...columnsOf(job) })
    tally.countTransition(was.progress.state, progress.state)
    if (progress.state === 'queued') tally.queued(progress.stage)
  }

  function putSideFiles(seq: number, next: SideFilesProgress | null): void {
    if (next) sql.putSideFiles.run({ ...progressOf(next), seq })
    else sql.dropSideFiles.run({ seq })
  }

  function sideFilesOf(seq: number): StoredSideFiles | null {
    const row = sql.sideFiles.get(seq) as SideFilesRow | undefined
    return row ? storedSideFilesOf(row) : null
  }

  /** The job of a claim, if the claim still holds. */
  function held(claim: ClaimId): FoundJob | null {
    const found = find(claim.jobId)
    if (!found) return null
    const sideFiles = claim.task === 'side_files' ? sideFilesOf(found.seq) : null
    return isHeld(claim, found.job, sideFiles) ? found : null
  }

  function settle(claim: Claim, next: JobProgress, attempt: Attempt, sideFiles: SideFilesProgress | null, now: number) {
    const found = held(claim)
    if (!found) return false
    noteAttempt(found.seq, claim.token, attempt)
    if (sideFiles) putSideFiles(found.seq, sideFiles)
    put(found, { job: afterSettle(found.job, claim, next, attempt, now), dropsSideFiles: false })
    wakeAfter(found.job.progress, now)
    return true
  }

  function settleSideFiles(claim: Claim, next: SideFilesProgress | null, attempt: Attempt, now: number): boolean {
    const found = held(claim)
    if (!found) return false
    noteAttempt(found.seq, claim.token, attempt)
    putSideFiles(found.seq, next)
    // A fetch may have waited for the end of this.
    tally.queued('fetch')
    wakeAfter({ crashes: 0 }, now)
    return true
  }

  function wakeAfter(ended: Pick<JobProgress, 'crashes'>, now: number): void {
    if (wakesBothStages(ended, () => sql.isolated.get(now) !== undefined)) wakeAll()
  }

  function wakeAll(): void {
    for (const stage of ['fetch', 'hand_over'] as const) tally.queued(stage)
  }

  function noteAttempt(seq: number, token: number, attempt: Attempt): void {
    const { reason, ms, ...noted } = attempt
    sql.insertAttempt.run({ seq, token, ...noted, ms: Math.round(ms), ...reasonColumns(reason) })
    sql.dropOldAttempts.run({ seq, kept: ATTEMPTS_KEPT })
  }

  /** What was running when the last process ended. Only for the holder of the instance lock. */
  function recover(now: number): number {
    const asked = tally.value('stop_asked') === 1
    const running = (sql.runningJobs.all() as JobTableRow[]).map((row) => ({ seq: row.seq, job: storedJobOf(row) }))
    for (const found of running) {
      const { job, attempt } = afterDeath(found.job, asked, now)
      if (attempt) noteAttempt(found.seq, job.token, attempt)
      put(found, { job, dropsSideFiles: false })
    }
    for (const row of sql.runningSideFiles.all() as SideFilesRow[]) {
      const { next, attempt } = sideFilesAfterDeath(storedSideFilesOf(row), asked, now)
      if (attempt) noteAttempt(row.job_seq, row.token, attempt)
      putSideFiles(row.job_seq, next)
    }
    tally.set('stop_asked', 0)
    claims.clampDue(now)
    return running.length
  }

  /** Queues these jobs again, those of them that still may be; they are the ones from `first` on of `total`. */
  function requeue(seqs: readonly number[], { refetch = false }: Requeue, part: RequeuePart, now: number): number {
    let queued = 0
    for (const [index, seq] of seqs.entries()) {
      const row = sql.jobBySeq.get(seq) as JobTableRow | undefined
      const job = row && storedJobOf(row)
      const changed = job && afterRequeue(job, refetch, requeuedAt(part.since, part.first + index, part.total), now)
      if (!changed) continue
      queued++
      put({ seq, job }, changed)
    }
    return queued
  }

  function erase(jobId: string, now: number): 'erased' | 'running' | 'unknown' {
    const found = find(jobId)
    if (!found) return 'unknown'
    if (isInHand(found.job, sideFilesOf(found.seq))) return 'running'
    for (const statement of sql.eraseSteps) statement.run({ seq: found.seq })
    put(found, { job: afterErasure(found.job, now), dropsSideFiles: false })
    return 'erased'
  }

  function linkKey(): Uint8Array {
    const stored = () => sql.secret.get({ name: 'links' }) as { value: Uint8Array } | undefined
    if (!stored()) sql.setSecret.run({ name: 'links', value: randomBytes(32) })
    return stored()!.value
  }

  return {
    ...claims,
    accept,
    settle,
    settleSideFiles,
    /** Whether a claim still holds. */
    holds: (claim: ClaimId) => held(claim) !== null,
    recover,
    requeue,
    erase,
    linkKey,
    tally,
    /** Writes, and changes nothing. */
    probe: () => tally.set('probe', 0),
    pause(on: boolean): void {
      tally.set('paused', on ? 1 : 0)
      if (!on) wakeAll()
    },
    paused: () => tally.value('paused') === 1,
    stopAsked: () => tally.set('stop_asked', 1),
  }
}
