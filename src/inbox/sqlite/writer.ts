import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { wakesBothStages } from '../../claims.ts'
import type { JobProgress, SideFilesProgress } from '../../job.ts'
import type { Claim, ClaimId, NewAttempt, OperatorPause } from '../inbox.ts'
import {
  afterDeath,
  afterErasure,
  afterPause,
  afterRequeue,
  afterSettle,
  isInHand,
  requeuedAt,
  sideFilesAfterDeath,
} from '../transitions.ts'
import { createClaims } from './claim.ts'
import { createExpected } from './expected.ts'
import { createIntake } from './intake.ts'
import { createJobs } from './jobs.ts'
import { createNotes } from './notes.ts'
import { type JobTableRow, type SideFilesRow, storedJobOf, storedSideFilesOf } from './rows.ts'
import { prepareStatements } from './statements.ts'
import { createTally } from './tally.ts'

/** Everything that changes the database, as functions for one open transaction. */
export type Writer = ReturnType<typeof createWriter>

/** Where a part of many jobs stands among them. `since`: when the first is due, ms. */
type RequeuePart = { readonly first: number; readonly total: number; readonly since: number }

export function createWriter(db: DatabaseSync) {
  const sql = prepareStatements(db)
  const tally = createTally(sql)
  const claims = createClaims(sql, tally)
  const jobs = createJobs(sql, tally)
  const { find, put, putSideFiles, sideFilesOf, held, noteAttempt, link } = jobs

  function settle(
    claim: Claim,
    next: JobProgress,
    attempt: NewAttempt,
    sideFiles: SideFilesProgress | null,
    now: number,
  ) {
    const found = held(claim)
    if (!found) return false
    noteAttempt(found.seq, claim.token, attempt)
    if (sideFiles) putSideFiles(found.seq, sideFiles)
    put(found, { job: afterSettle(found.job, claim, next, attempt, now), dropsSideFiles: false })
    wakeAfter(found.job.progress, now)
    return true
  }

  function settleSideFiles(claim: Claim, next: SideFilesProgress | null, attempt: NewAttempt, now: number): boolean {
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
    tally.set('started_at', now)
    // What the index of search is known to be of this database by.
    sql.setSecret.run({ name: 'search', value: randomBytes(16) })
    claims.clampDue(now)
    return running.length
  }

  /** Queues these jobs again, those of them that still may be; they are the ones from `first` on of `total`. */
  function requeue(
    seqs: readonly number[],
    refetch: boolean,
    part: RequeuePart,
    now: number,
    action: number | undefined,
  ): number {
    let queued = 0
    for (const [index, seq] of seqs.entries()) {
      const row = sql.jobBySeq.get(seq) as JobTableRow | undefined
      const job = row && storedJobOf(row)
      const changed = job && afterRequeue(job, refetch, requeuedAt(part.since, part.first + index, part.total), now)
      if (!changed) continue
      queued++
      put({ seq, job }, changed)
      link(seq, action)
    }
    return queued
  }

  function erase(jobId: string, now: number, action: number | undefined): 'erased' | 'running' | 'unknown' {
    const found = find(jobId)
    if (!found) return 'unknown'
    if (isInHand(found.job, sideFilesOf(found.seq))) return 'running'
    for (const statement of sql.eraseSteps) statement.run({ seq: found.seq })
    put(found, { job: afterErasure(found.job, now), dropsSideFiles: false })
    link(found.seq, action)
    return 'erased'
  }

  function pauseNow(): OperatorPause | null {
    return (sql.pause.get() as OperatorPause | undefined) ?? null
  }

  function pause(on: boolean, reason: string | null, now: number): void {
    if (on) sql.setPause.run(afterPause(pauseNow(), reason, now))
    else {
      sql.endPause.run()
      wakeAll()
    }
  }

  function linkKey(): Uint8Array {
    const stored = () => sql.secret.get({ name: 'links' }) as { value: Uint8Array } | undefined
    if (!stored()) sql.setSecret.run({ name: 'links', value: randomBytes(32) })
    return stored()!.value
  }

  return {
    ...claims,
    ...createIntake(sql, tally, jobs),
    ...createExpected(sql, jobs),
    ...createNotes(sql),
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
    pause,
    paused: () => pauseNow() !== null,
    stopAsked: () => tally.set('stop_asked', 1),
  }
}
