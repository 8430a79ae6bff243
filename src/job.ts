import { backoff, MAX_DELAY_MS, MIN_DELAY_MS } from './backoff.ts'
import type { CleanText } from './telemetry/scrub.ts'

/**
 * The terms of this service, and the life of a job. Pure: no I/O, no clock.
 *
 * - A *delivery* is one verified webhook, identified by its `svix-id`, however often it arrives.
 * - A *job* is one Reducto job, identified by its `job_id`; several deliveries can concern it.
 * - A *round* is one queueing of a job, by a delivery or a person. The required freshness is stored as a round: a saved
 *   result that was fetched in an earlier round than `fetchSince` is out of date.
 * - An *attempt* is one run of a job by the worker. It ends in an `Outcome`, which `afterAttempt` turns into the job's
 *   next `JobProgress`. Stores only write what these functions return, so that every store behaves alike.
 *
 * All times are milliseconds. Patience is *spent*, not timed: an attempt adds its duration and the pause that was
 * planned after it. Pauses, stops, backlogs and clock changes therefore spend none, and only a failing attempt can make
 * a job dead.
 */

export type JobState = 'expected' | 'queued' | 'running' | 'done' | 'dead'

/** What a job waits for: `fetch` until its result is saved, then `hand_over`. */
export type Stage = 'fetch' | 'hand_over'

/** The worker's task for a job: its stage, or, in addition, another attempt at missing side files. */
export type Task = Stage | 'side_files'

/** Maximum patience for each task until it is given up, ms. */
export type Patience = Readonly<Record<Task, number>>

/** Why something failed. `code` is stable (grouping, metrics); `message` is for people. */
export type Reason<Text extends string = string> = { readonly code: string; readonly message: Text }

/** A reason that may be stored and shown. */
export type CleanReason = Reason<CleanText>

export type Outcome =
  /** Nothing remains to be done. `status` is what Reducto reported; `missing` counts side files that are not saved. */
  | { readonly is: 'done'; readonly status: string; readonly missing: number }
  /** The result is saved and must now be handed over. */
  | { readonly is: 'saved'; readonly status: string; readonly missing: number }
  /** The saved result has disappeared from the store: it is fetched again. */
  | { readonly is: 'unsaved'; readonly reason: Reason }
  /** A failed attempt: retried after a backoff, or after `after` ms if the remote side asked for that. */
  | { readonly is: 'retry'; readonly reason: Reason; readonly after?: number }
  /**
   * Reducto says that there is no such job: believed when it has said so for `confirm` ms, at least twice. With a
   * `fallback` there is a saved result, which is kept.
   */
  | { readonly is: 'gone'; readonly reason: Reason; readonly confirm: number; readonly fallback: boolean }
  /** Reducto is still processing the job, or its answer lacks the result: spends patience, but counts as no failure. */
  | { readonly is: 'unfinished'; readonly reason: Reason }
  /** Not the job's fault (account, disk): spends nothing. Due again after `after` ms. */
  | { readonly is: 'wait'; readonly reason: Reason; readonly after: number }
  /** A retry cannot help. */
  | { readonly is: 'dead'; readonly reason: Reason }
  /** The service is stopping: spends nothing, and is due at once. */
  | { readonly is: 'interrupted' }

export type JobProgress = {
  readonly state: JobState
  readonly stage: Stage
  /** Failed attempts at this stage since the job was last queued: the exponent of the backoff. */
  readonly failures: number
  /** Attempts since then that found the job unfinished at Reducto: the exponent of the pause before the next one. */
  readonly polls: number
  /** Unclean deaths of the process while this job ran, since its last settled attempt. */
  readonly crashes: number
  /** Wall clock: the earliest time of the next claim. */
  readonly dueAt: number
  /** Patience spent at this stage since the job was last queued. */
  readonly spent: number
  /** The patience spent when Reducto first said that the job is gone, if it has said so at every attempt since. */
  readonly goneSpent: number | null
  readonly reason: CleanReason | null
}

/** The id goes unencoded into a path of Reducto's API (reductoai 0.16), and names a folder and a key of a bucket. */
const JOB_ID = /^[A-Za-z0-9_-]{1,128}$/

/** The one check of a job id, for every entry point. */
export function isJobId(text: unknown): text is string {
  return typeof text === 'string' && JOB_ID.test(text)
}

/** How the ids of jobs begin that `send-test` makes up. Reducto's own are UUIDs. */
export const TEST_JOB_PREFIX = 'receiver-test-'

/** Whether Reducto has no such job, because `send-test` made it up: it is done as soon as it is recorded. */
export function isTestJob(jobId: string): boolean {
  return jobId.startsWith(TEST_JOB_PREFIX)
}

/** From its second crash a job runs alone. */
export const ISOLATE_AFTER_CRASHES = 2
/** The fifth crash makes the job dead. */
export const DEAD_AFTER_CRASHES = 5
/** The webhook statuses that say how a job ended; for any other the API decides. */
const FINAL_STATUSES: ReadonlySet<string> = new Set(['Completed', 'Failed'])

/** The known facts about a job when a delivery or a person queues it. */
export type KnownJob = {
  readonly state: JobState
  readonly stage: Stage
  /** The status of the saved result; null when none is saved. */
  readonly savedStatus: string | null
  /** The last announced status. */
  readonly announced: string | null
}

/** The wanted change of a job: the stage at which to queue it, and whether earlier results are out of date. */
export type Wanted = { readonly queue: Stage | null; readonly refetch: boolean }

/** The effect of a delivery on its job, and the reply to the sender. */
export type DeliveryEffect = Wanted & { readonly duplicate: boolean; readonly requeued: boolean }

/**
 * A delivery arrived for `job` (null: unknown).
 *
 * A dead job is queued again, whatever the id, so that Svix's *Resend* works; a saved result is handed over, and
 * nothing is fetched twice. A new delivery with another final status than the last one's, or the saved result's, means
 * that everything fetched before is out of date. Any other delivery changes nothing.
 */
export function onDelivery(
  job: KnownJob | null,
  delivery: { readonly known: boolean; readonly status: string },
): DeliveryEffect {
  const plain = { duplicate: delivery.known, requeued: false }
  if (job === null || job.state === 'expected') return { queue: 'fetch', refetch: false, ...plain }
  // A done job without a saved result was erased.
  const earlier = job.state === 'done' ? job.savedStatus : (job.savedStatus ?? job.announced)
  const refetch = contradicts(earlier, delivery.status)
  if (job.state === 'dead')
    return { queue: refetch ? 'fetch' : savedStage(job), refetch, duplicate: delivery.known, requeued: true }
  if (delivery.known || !refetch) return { queue: null, refetch: false, ...plain }
  // A running job, or one still to be fetched, continues: the round shows that its result may be out of date.
  const isSaved = job.state === 'done' || (job.state === 'queued' && job.stage === 'hand_over')
  return { queue: isSaved ? 'fetch' : null, refetch: true, ...plain }
}

/** Whether a delivery's status contradicts an earlier delivery's or a result's. */
function contradicts(earlier: string | null, announced: string): boolean {
  return earlier !== null && FINAL_STATUSES.has(announced) && earlier !== announced
}

/** A person queues a job again: hands over a saved result, unless it must be fetched again. Null: make it due now. */
export function onRequeue(job: KnownJob, options: { readonly refetch: boolean }): (Wanted & { queue: Stage }) | null {
  if (options.refetch) return { queue: 'fetch', refetch: true }
  if (job.state === 'queued') return null
  return { queue: savedStage(job), refetch: false }
}

/** The states from which a person may queue a job again. */
export const REQUEUEABLE_STATES: readonly JobState[] = ['queued', 'done', 'dead']

/** Whether a person may queue a job again. An erased job has nothing left to process. */
export function isRequeueable({ state, reason }: Pick<JobProgress, 'state' | 'reason'>): boolean {
  return REQUEUEABLE_STATES.includes(state) && reason?.code !== ERASED.code
}

function savedStage(job: KnownJob): Stage {
  return job.savedStatus === null ? 'fetch' : 'hand_over'
}

/** The progress of a job that has just been queued, by a delivery or a person: no attempts, no spent patience. */
export function freshProgress(stage: Stage, dueAt: number): JobProgress {
  return {
    state: 'queued',
    stage,
    failures: 0,
    polls: 0,
    crashes: 0,
    dueAt,
    spent: 0,
    goneSpent: null,
    reason: null,
  }
}

/** The end of an attempt. `now`: wall clock; `ms`: its duration; `random` is uniform in [0, 1). */
export type AttemptEnd = {
  readonly now: number
  readonly ms: number
  readonly patience: Patience
  readonly random: () => number
}

/** The outcome with its reason scrubbed, as it may be stored. */
export type CleanOutcome = Outcome extends infer O
  ? O extends { readonly reason: Reason }
    ? Omit<O, 'reason'> & { readonly reason: CleanReason }
    : O
  : never

/** A job's progress after an attempt that ended in `outcome`. */
export function afterAttempt(was: JobProgress, outcome: CleanOutcome, end: AttemptEnd): JobProgress {
  const { now, random } = end
  const patience = end.patience[was.stage]
  const spent = was.spent + Math.max(Math.round(end.ms), 0)
  const settled: JobProgress = { ...was, state: 'queued', crashes: 0, goneSpent: null, spent }
  const again = (pause: number) => ({ dueAt: now + pause, spent: spent + pause })
  switch (outcome.is) {
    case 'done':
      return { ...settled, state: 'done', reason: null }
    case 'saved':
      return freshProgress('hand_over', now)
    case 'unsaved':
      return { ...freshProgress('fetch', now), reason: outcome.reason }
    case 'dead':
      return { ...settled, state: 'dead', reason: outcome.reason }
    case 'interrupted':
      return { ...was, state: 'queued', crashes: 0, dueAt: now }
    case 'wait':
      return { ...was, state: 'queued', crashes: 0, dueAt: now + outcome.after, reason: outcome.reason }
    case 'unfinished': {
      if (spent >= patience) return { ...settled, state: 'dead', reason: outcome.reason }
      return { ...settled, polls: was.polls + 1, reason: outcome.reason, ...again(backoff(was.polls, random)) }
    }
    case 'gone': {
      const since = was.goneSpent ?? spent
      const confirmed = was.goneSpent !== null && spent - since >= Math.min(outcome.confirm, patience)
      if (confirmed || spent >= patience) {
        // A saved result is worth more than the fetch that was wanted.
        if (outcome.fallback) return { ...freshProgress('hand_over', now), reason: outcome.reason }
        return { ...settled, state: 'dead', reason: outcome.reason }
      }
      const left = Math.min(since + outcome.confirm, patience) - spent
      const pause = Math.min(backoff(was.failures, random), Math.max(left, MIN_DELAY_MS))
      return { ...settled, failures: was.failures + 1, goneSpent: since, reason: outcome.reason, ...again(pause) }
    }
    case 'retry': {
      if (spent >= patience) return { ...settled, state: 'dead', reason: outcome.reason }
      const asked = Math.ceil(Math.min(outcome.after ?? 0, MAX_DELAY_MS))
      const pause = Math.max(backoff(was.failures, random), asked)
      return { ...settled, failures: was.failures + 1, reason: outcome.reason, ...again(pause) }
    }
  }
}

/** Side files that are still missing after the result was saved, and the time of the next attempt. */
export type SideFilesProgress = {
  readonly failures: number
  readonly crashes: number
  readonly dueAt: number
  readonly spent: number
}

/** The first attempt at missing side files: due after a backoff from `now`, or after `after` ms if a storage asked. */
export function firstSideFiles(now: number, after: number, random: () => number): SideFilesProgress {
  const pause = Math.max(backoff(0, random), Math.min(after, MAX_DELAY_MS))
  return { failures: 0, crashes: 0, dueAt: now + pause, spent: pause }
}

/** After an attempt that left side files missing: the next one; null when patience is spent and they stay missing. */
export function nextSideFiles(was: SideFilesProgress, after: number, end: AttemptEnd): SideFilesProgress | null {
  const spent = was.spent + Math.max(Math.round(end.ms), 0)
  if (spent >= end.patience.side_files) return null
  const pause = Math.max(backoff(was.failures + 1, end.random), Math.min(after, MAX_DELAY_MS))
  return { failures: was.failures + 1, crashes: 0, dueAt: end.now + pause, spent: spent + pause }
}

/**
 * A job that was running when the process ended: interrupted if the stop was `asked` for, otherwise crashed. It is due
 * at once. Innocent jobs that ran beside the one that crashes the process reach `ISOLATE_AFTER_CRASHES` at most: from
 * then on each runs alone, and only the count of the guilty one rises.
 */
export function afterRestart(was: JobProgress, now: number, asked: boolean): JobProgress {
  if (asked) return { ...was, state: 'queued', dueAt: now }
  const crashes = was.crashes + 1
  if (crashes < DEAD_AFTER_CRASHES) return { ...was, state: 'queued', crashes, dueAt: now }
  return { ...was, state: 'dead', crashes, reason: CRASHED }
}

/** The same for an attempt at side files; null gives them up, and the result stays as it is. */
export function sideFilesAfterRestart(was: SideFilesProgress, now: number, asked: boolean): SideFilesProgress | null {
  if (asked) return { ...was, dueAt: now }
  const crashes = was.crashes + 1
  if (crashes >= DEAD_AFTER_CRASHES) return null
  // Each delay is longer than the last, so that an innocent one runs at a time without the guilty one.
  return { ...was, crashes, dueAt: now + MIN_DELAY_MS * 4 ** crashes }
}

/** A text of this service, not of others, so that it needs no scrubbing. */
const CRASHED: CleanReason = {
  code: 'crashed',
  message:
    `the service died ${DEAD_AFTER_CRASHES} times while it processed this job, the last times this job alone; see its log for the cause, then press Resend` as CleanText,
}
/** The reason of an erased job. Nothing revives it. */
export const ERASED: CleanReason = { code: 'erased', message: 'erased by an operator' as CleanText }

/** A job after an operator has erased it. */
export function afterErase(now: number): JobProgress {
  return { ...freshProgress('fetch', now), state: 'done', reason: ERASED }
}
/** The reason of an attempt that a dead process did not end. */
export const PROCESS_DIED: CleanReason = {
  code: 'process_died',
  message: 'the process died during this attempt' as CleanText,
}
