import { furthestDue, spread } from '../backoff.ts'
import {
  afterErase,
  afterRestart,
  freshProgress,
  isRequeueable,
  type JobProgress,
  type KnownJob,
  onDelivery,
  onRequeue,
  PROCESS_DIED,
  type SideFilesProgress,
  type Stage,
  sideFilesAfterRestart,
  type Task,
  type Wanted,
} from '../job.ts'
import type { Claim, ClaimId, Content, JobRow, NewAttempt, OperatorPause, Receipt, Requeue } from './inbox.ts'

/**
 * How the stored records of a job change, for every store. Pure: a store reads a record, computes the new one here, and
 * writes it. `job.ts` knows a job's progress; this module knows what is stored about it.
 */

/** A job as it is stored. */
export type StoredJob = {
  readonly jobId: string
  /** The first endpoint that announced it. */
  readonly endpoint: string
  /** The number of the first delivery that announced it; null when none has. */
  readonly firstDelivery: number | null
  /** The last announced status. */
  readonly announced: string | null
  /** The status and type of the saved result; the status is null when none is saved. */
  readonly savedStatus: string | null
  readonly type: string | null
  readonly round: number
  readonly fetchSince: number
  /** The token of the last claim. */
  readonly token: number
  readonly progress: JobProgress
  readonly createdAt: number
  readonly queuedAt: number
  /** Last activity, from which retention counts. */
  readonly updatedAt: number
}

/** Missing side files as they are stored. */
export type StoredSideFiles = SideFilesProgress & { readonly token: number; readonly isRunning: boolean }

/** Whether a worker is processing the job or its missing side files. */
export function isInHand(job: StoredJob, sideFiles: StoredSideFiles | null): boolean {
  return job.progress.state === 'running' || sideFiles?.isRunning === true
}

/** Whether a claim still holds: the job has not been claimed or taken back since. */
export function isHeld({ task, token }: ClaimId, job: StoredJob, sideFiles: StoredSideFiles | null): boolean {
  if (task === 'side_files') return sideFiles?.isRunning === true && sideFiles.token === token
  return job.progress.state === 'running' && job.token === token
}

/** A job's record after a change. `dropsSideFiles`: a fetch downloads all of them again. */
export type Changed = { readonly job: StoredJob; readonly dropsSideFiles: boolean }

/** Attempts kept per job, the latest ones. */
export const ATTEMPTS_KEPT = 50

/** A delivery that names a job, stored under `number`. `known`: it is a repeat. */
export type Arrival = {
  readonly jobId: string
  readonly status: string
  readonly endpoint: string
  readonly number: number
  readonly known: boolean
  /** The job was registered without an endpoint, and this is its first delivery: it belongs to this endpoint. */
  readonly decidesEndpoint: boolean
}

/** A delivery arrived for `job`; null: unknown. */
export function afterDelivery(
  job: StoredJob | null,
  { jobId, status, endpoint, number, known, decidesEndpoint }: Arrival,
  now: number,
): Changed & { readonly receipt: Receipt } {
  const effect = onDelivery(job && knownJob(job), { known, status })
  const { duplicate, requeued } = effect
  if (job === null) {
    const created = newJob(jobId, endpoint, now)
    return {
      job: { ...created, firstDelivery: number, announced: status },
      dropsSideFiles: false,
      receipt: { duplicate, requeued, job: 'queued' },
    }
  }
  const announces = !known || effect.queue !== null
  const heard: StoredJob = {
    ...job,
    ...(announces ? { announced: status, firstDelivery: job.firstDelivery ?? number } : {}),
    ...(decidesEndpoint ? { endpoint } : {}),
    updatedAt: now,
  }
  const changed = effect.queue
    ? queueAgain(heard, { ...effect, queue: effect.queue }, now, now)
    : { job: effect.refetch ? nextRound(heard, true) : heard, dropsSideFiles: false }
  return { ...changed, receipt: { duplicate, requeued, job: changed.job.progress.state } }
}

/** A job of the first round, queued now; no delivery is noted yet. */
export function newJob(jobId: string, endpoint: string, now: number): StoredJob {
  return {
    ...{ jobId, endpoint, firstDelivery: null, announced: null, savedStatus: null, type: null },
    ...{ round: 1, fetchSince: 0, token: 0, progress: freshProgress('fetch', now) },
    ...{ createdAt: now, queuedAt: now, updatedAt: now },
  }
}

/** A delivery that names a job. */
export type JobContent = Content & { readonly is: 'job' }

/**
 * A recorded delivery is read again: what it is taken for from then on, and announces to its job as on arrival. Null when it
 * stays what it is: it concerns a job already, its body was erased, or it still names no job.
 */
export function afterReread(
  delivery: { readonly disposition: Content['is']; readonly body: Uint8Array | null },
  content: Content,
): JobContent | null {
  const isOpen = delivery.disposition !== 'job' && delivery.body !== null
  return isOpen && content.is === 'job' ? content : null
}

/** The settled end of a claim. A delivery that came meanwhile may know better than what was fetched. */
export function afterSettle(
  job: StoredJob,
  claim: Pick<Claim, 'round'>,
  next: JobProgress,
  { savedStatus, type }: NewAttempt,
  now: number,
): StoredJob {
  const isOutdated = job.fetchSince > claim.round && (next.state === 'done' || next.stage === 'hand_over')
  return {
    ...job,
    ...(savedStatus === null ? {} : { savedStatus, type }),
    progress: isOutdated ? freshProgress('fetch', now) : next,
    updatedAt: now,
  }
}

/** Where `count` jobs stand among all that are queued with them: the first of them, and how many there are in all. */
export function placesOf(count: number, part: Requeue['part'] = { first: 0, total: 0 }) {
  return { first: part.first, total: Math.max(part.total, part.first + count) }
}

/** When the `index`th of `total` jobs that are queued together is due; the first of all is at `since`. */
export function requeuedAt(since: number, index: number, total: number): number {
  return since + spread(index, total)
}

/** A person queues a job again, or makes it due sooner; null when that is not allowed. */
export function afterRequeue(job: StoredJob, refetch: boolean, dueAt: number, now: number): Changed | null {
  if (!isRequeueable(job.progress)) return null
  const wanted = onRequeue(knownJob(job), { refetch })
  if (wanted) return queueAgain(job, wanted, now, dueAt)
  return { job: withDueAt(job, Math.min(dueAt, job.progress.dueAt)), dropsSideFiles: false }
}

/** An operator has erased the job's contents: its result is unknown from then on, its ids stay. */
export function afterErasure(job: StoredJob, now: number): StoredJob {
  return { ...job, savedStatus: null, progress: afterErase(now), updatedAt: now }
}

/** An operator stops claims. A pause that holds already keeps its beginning, and its reason unless there is a new one. */
export function afterPause(was: OperatorPause | null, reason: string | null, now: number): OperatorPause {
  return { since: was?.since ?? now, reason: reason ?? was?.reason ?? null }
}

/** A job is given to a worker. */
export function afterClaim(job: StoredJob, token: number, now: number): StoredJob {
  return { ...job, token, progress: { ...job.progress, state: 'running' }, updatedAt: now }
}

/**
 * A job was running when the process ended. `asked`: the stop was requested. The attempt is recorded if it was a crash.
 */
export function afterDeath(
  job: StoredJob,
  asked: boolean,
  now: number,
): { job: StoredJob; attempt: NewAttempt | null } {
  return {
    job: { ...job, progress: afterRestart(job.progress, now, asked), updatedAt: now },
    attempt: asked ? null : { ...diedDuring(job.progress.stage, job.updatedAt), round: job.round },
  }
}

/** The same for an attempt at side files; `next` is null when they are given up. */
export function sideFilesAfterDeath(was: SideFilesProgress, asked: boolean, now: number) {
  return {
    next: sideFilesAfterRestart(was, now, asked),
    attempt: asked ? null : diedDuring('side_files', was.dueAt),
  }
}

/** A clock that jumped back would leave a job due too far ahead; null when it does not. */
export function afterClockJump(job: StoredJob, now: number): StoredJob | null {
  const furthest = furthestDue(now)
  return job.progress.state === 'queued' && job.progress.dueAt > furthest ? withDueAt(job, furthest) : null
}

/** Whether a job whose last activity was before this time is past its retention: only done jobs are deleted. */
export function isJobPrunable(
  job: Pick<StoredJob, 'createdAt' | 'updatedAt'> & Pick<JobProgress, 'state'>,
  before: number,
) {
  return job.state === 'done' && job.createdAt < before && job.updatedAt < before
}

/** The claim given to a worker. `others`: further endpoints that announced the job. */
export function claimOf(
  job: StoredJob,
  task: Task,
  token: number,
  from: {
    readonly first: { readonly svixId: string; readonly receivedAt: number; readonly body: Uint8Array | null } | null
    readonly others: readonly string[]
    /** The text with registered metadata, which holds against the delivery's. */
    readonly registered: Uint8Array | null
    readonly sideFiles: SideFilesProgress | null
  },
): Claim {
  const { jobId, endpoint, announced, round, fetchSince } = job
  const { first, others, sideFiles } = from
  const body = from.registered ?? first?.body
  return {
    ...{ jobId, task, token, endpoint, announced, round, fetchSince },
    sideFiles: sideFiles && progressOf(sideFiles),
    progress: { ...job.progress, state: 'running' },
    endpoints: [endpoint, ...others],
    svixId: first?.svixId ?? null,
    receivedAt: first?.receivedAt ?? job.createdAt,
    body: body ? Buffer.from(body).toString('utf8') : null,
  }
}

/** The part of side files that a worker receives and returns. */
export function progressOf({ failures, crashes, dueAt, spent }: SideFilesProgress): SideFilesProgress {
  return { failures, crashes, dueAt, spent }
}

/** The operators' view of a job. */
export function jobRowOf(job: StoredJob): JobRow {
  const { jobId, type, endpoint, createdAt, updatedAt, progress } = job
  const { state, stage, failures, crashes, dueAt, reason } = progress
  const status = job.savedStatus ?? job.announced
  return { jobId, state, stage, status, type, endpoint, failures, crashes, dueAt, createdAt, updatedAt, reason }
}

function knownJob({ progress: { state, stage }, savedStatus, announced }: StoredJob): KnownJob {
  return { state, stage, savedStatus, announced }
}

/** The job, queued at the wanted stage in a round of its own. */
export function queueAgain(job: StoredJob, wanted: Wanted & { queue: Stage }, now: number, dueAt: number): Changed {
  const progress = freshProgress(wanted.queue, dueAt)
  return {
    job: { ...nextRound(job, wanted.refetch), progress, queuedAt: now, updatedAt: now },
    dropsSideFiles: wanted.refetch,
  }
}

function nextRound(job: StoredJob, refetch: boolean): StoredJob {
  const round = job.round + 1
  return { ...job, round, fetchSince: refetch ? round : job.fetchSince }
}

function withDueAt(job: StoredJob, dueAt: number): StoredJob {
  return { ...job, progress: { ...job.progress, dueAt } }
}

function diedDuring(task: Task, startedAt: number): NewAttempt {
  return { startedAt, ms: 0, task, outcome: 'crashed', reason: PROCESS_DIED, savedStatus: null, type: null }
}
