import type { SideFilesProgress } from '../../job.ts'
import { notedAttempt } from '../attempt.ts'
import type { ClaimId, NewAttempt } from '../inbox.ts'
import { ACTIONS_KEPT } from '../journal.ts'
import {
  ATTEMPTS_KEPT,
  type Changed,
  isHeld,
  progressOf,
  type StoredJob,
  type StoredSideFiles,
} from '../transitions.ts'
import {
  columnsOf,
  type JobTableRow,
  reasonColumns,
  type SideFilesRow,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'
import type { Statements } from './statements.ts'
import type { Tally } from './tally.ts'

/** A job and the number of its row. */
type FoundJob = { readonly seq: number; readonly job: StoredJob }

/** Reads and writes the rows of jobs, of their side files and of their attempts, and counts what changes. */
export type Jobs = ReturnType<typeof createJobs>

export function createJobs(sql: Statements, tally: Tally) {
  function find(jobId: string): FoundJob | null {
    const row = sql.job.get(jobId) as JobTableRow | undefined
    return row ? { seq: row.seq, job: storedJobOf(row) } : null
  }

  function insert(job: StoredJob): void {
    const { jobId, endpoint, announced, firstDelivery, createdAt, progress } = job
    if (progress.state === 'expected') sql.insertExpected.run({ jobId, endpoint, createdAt })
    else {
      sql.insertJob.run({ jobId, endpoint, announced, firstDelivery, createdAt })
      tally.queued(progress.stage)
    }
    tally.countTransition(null, progress)
  }

  function put({ seq, job: was }: FoundJob, { job, dropsSideFiles }: Changed): void {
    if (dropsSideFiles) sql.dropSideFiles.run({ seq })
    if (job.endpoint !== was.endpoint) sql.setEndpoint.run({ seq, endpoint: job.endpoint, updatedAt: job.updatedAt })
    const { announced, firstDelivery, round, fetchSince, updatedAt, progress } = job
    if (progress === was.progress) {
      sql.saveNews.run({ seq, announced, firstDelivery, round, fetchSince, updatedAt })
      return
    }
    sql.saveJob.run({ seq, ...columnsOf(job) })
    tally.countTransition(was.progress, progress)
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

  function noteAttempt(seq: number, token: number, attempt: NewAttempt): void {
    const { reason, ...noted } = notedAttempt(attempt)
    sql.insertAttempt.run({ seq, token, ...noted, ...reasonColumns(reason) })
    sql.dropOldAttempts.run({ seq, kept: ATTEMPTS_KEPT })
  }

  /** Notes with a job that it was part of an action. */
  function link(seq: number, action: number | undefined): void {
    if (action === undefined) return
    sql.linkAction.run({ seq, action })
    sql.dropOldLinks.run({ seq, kept: ACTIONS_KEPT })
  }

  return { find, insert, put, putSideFiles, sideFilesOf, held, noteAttempt, link }
}
