/**
 * The words of this service, and what can happen to a job. Pure: no I/O, no clock, no imports.
 *
 * - A *delivery* is one verified webhook, known by its `svix-id`, however often it arrives.
 * - A *job* is one Reducto job, known by its `job_id`; several deliveries can concern it.
 * - An *attempt* is one run of a job by the worker. It ends in an `Outcome`, which `afterAttempt` turns into the job's
 *   next `Standing`. Stores only write what these functions return, so that every store behaves alike.
 *
 * Times are milliseconds. Due times are on the wall clock. Patience (`giveUpAt`, `goneSince`) is on the *working clock*,
 * which stands still while the worker is paused or the service is stopped: that time costs no job anything.
 */

/** The id goes into a path of Reducto's API unencoded (reductoai 0.16), and names a folder and a key of a bucket. */
const JOB_ID = /^[A-Za-z0-9_-]{1,128}$/

/** The one check of a job id, for every door through which one comes in. */
export function isJobId(text: unknown): text is string {
  return typeof text === 'string' && JOB_ID.test(text)
}

export type JobState = 'expected' | 'queued' | 'running' | 'done' | 'dead'

/** How far an attempt got: `fetch` until the result is saved, `hand_over` from then on, when there is a handler. */
export type Stage = 'fetch' | 'hand_over'

/** How long a job is tried at each stage until it is dead, ms on the working clock. */
export type Patience = Readonly<Record<Stage, number>>

/** Why something went wrong. `code` is stable (grouping, metrics); `message` is for people. */
export type Reason = { readonly code: string; readonly message: string }

export type Outcome =
  /**
   * The result is saved, and taken by the handler if there is one. `status` is what Reducto reported; `missing` counts
   * side files that could not be had.
   */
  | { readonly is: 'done'; readonly status: string; readonly missing: number }
  /** The result is saved, and the handler is busy with others: free, and due at once. */
  | { readonly is: 'saved' }
  /** A failing attempt: again after a backoff, or after `after` ms where the remote side said how long. */
  | { readonly is: 'retry'; readonly reason: Reason; readonly after?: number }
  /** Reducto says that there is no such job: believed when it has kept saying so for `confirm` ms, at least twice. */
  | { readonly is: 'gone'; readonly reason: Reason; readonly confirm: number }
  /** Reducto still works on the job: costs no attempt, but patience. */
  | { readonly is: 'unfinished'; readonly reason: Reason }
  /** Not the job's fault (account, disk): free. Due again after `after` ms. */
  | { readonly is: 'wait'; readonly reason: Reason; readonly after: number }
  /** Trying again cannot help. */
  | { readonly is: 'dead'; readonly reason: Reason }
  /** The service is stopping: free, and due at once. */
  | { readonly is: 'interrupted' }

export type Standing = {
  readonly state: JobState
  /** Where the last attempt ended. */
  readonly stage: Stage
  /** Failing attempts at this stage since the job was last queued: the exponent of the backoff. */
  readonly tries: number
  /** Looks since then that found the job unfinished at Reducto: the exponent of the pause before the next look. */
  readonly waits: number
  /** Unclean deaths of the process while this job ran, since its last settled attempt. */
  readonly crashes: number
  /** Wall clock: not to be claimed before. */
  readonly dueAt: number
  /** Working clock: a failing attempt after this makes the job dead. */
  readonly giveUpAt: number
  /** Working clock: since when Reducto has said, without a break, that the job is gone. */
  readonly goneSince: number | null
  readonly reason: Reason | null
}

/** Both clocks, read at one moment. */
export type Moment = { readonly now: number; readonly working: number }

/** First and longest backoff: C6 of the policy, 1 s to 10 min. */
export const BACKOFF = { first: 1_000, longest: 600_000 } as const
/** From its second crash a job runs alone. */
export const CRASHES_UNTIL_ALONE = 2
/** The fifth crash makes it dead. */
export const CRASHES_UNTIL_DEAD = 5
/** The statuses of a webhook that say how a job ended; with any other the API decides. */
export const ANNOUNCED_ENDS: ReadonlySet<string> = new Set(['Completed', 'Failed'])

/** What a delivery does to its job: queue it (anew), and what the sender is told. */
export type Arrival = {
  readonly queue: 'new' | 'refetch' | null
  readonly duplicate: boolean
  readonly requeued: boolean
}

/**
 * A delivery arrived for `job` (null: unknown).
 *
 * A dead job is queued again whatever the id, so that Svix's *Resend* works. A new delivery that announces another end
 * than the saved record has means that the record is out of date: the job is fetched anew. All else changes nothing.
 */
export function onDelivery(
  job: { readonly state: JobState; readonly recorded: string | null } | null,
  delivery: { readonly known: boolean; readonly status: string },
): Arrival {
  const plain = { duplicate: delivery.known, requeued: false }
  if (job === null || job.state === 'expected') return { queue: 'new', ...plain }
  if (job.state === 'dead') return { queue: 'new', duplicate: delivery.known, requeued: true }
  const contradicts = !delivery.known && job.state === 'done' && contradiction(job.recorded, delivery.status)
  return { queue: contradicts ? 'refetch' : null, ...plain }
}

/** Whether a delivery's status contradicts the status that was recorded. */
export function contradiction(recorded: string | null, announced: string | null): boolean {
  return recorded !== null && announced !== null && ANNOUNCED_ENDS.has(announced) && recorded !== announced
}

/** A job that has just been queued, by a delivery or a person: fresh attempts, fresh patience of `retryFor` ms. */
export function queued(at: Moment, retryFor: number): Standing {
  return {
    state: 'queued',
    stage: 'fetch',
    tries: 0,
    waits: 0,
    crashes: 0,
    dueAt: at.now,
    giveUpAt: at.working + retryFor,
    goneSince: null,
    reason: null,
  }
}

/** The job as an attempt at `stage` finds it: fresh attempts and patience where that is another stage than the last one's. */
export function atStage(was: Standing, stage: Stage, at: Moment, patience: Patience): Standing {
  return was.stage === stage ? was : { ...was, stage, tries: 0, waits: 0, giveUpAt: at.working + patience[stage] }
}

/** The standing after an attempt that ended in `outcome`. `random` is uniform in [0, 1). */
export function afterAttempt(was: Standing, outcome: Outcome, at: Moment, random: () => number): Standing {
  const settled: Standing = { ...was, state: 'queued', crashes: 0, goneSince: null }
  switch (outcome.is) {
    case 'done':
      return { ...settled, state: 'done', reason: null }
    case 'dead':
      return { ...settled, state: 'dead', reason: outcome.reason }
    case 'saved':
      return { ...settled, reason: null }
    case 'interrupted':
      return { ...was, state: 'queued', crashes: 0, dueAt: at.now }
    case 'wait':
      return { ...was, state: 'queued', crashes: 0, dueAt: at.now + outcome.after, reason: outcome.reason }
    case 'unfinished': {
      if (at.working >= was.giveUpAt) return { ...settled, state: 'dead', reason: outcome.reason }
      const pause = backoff(was.waits, random)
      return { ...settled, waits: was.waits + 1, dueAt: at.now + pause, reason: outcome.reason }
    }
    case 'gone': {
      const since = was.goneSince ?? at.working
      const believed = was.goneSince !== null && at.working - since >= outcome.confirm
      if (believed || at.working >= was.giveUpAt) return { ...settled, state: 'dead', reason: outcome.reason }
      const left = Math.max(Math.min(since + outcome.confirm, was.giveUpAt) - at.working, 0)
      const pause = Math.min(backoff(was.tries, random), Math.max(left, BACKOFF.first))
      return {
        ...settled,
        tries: was.tries + 1,
        dueAt: at.now + pause,
        goneSince: since,
        reason: outcome.reason,
      }
    }
    case 'retry': {
      if (at.working >= was.giveUpAt) return { ...settled, state: 'dead', reason: outcome.reason }
      const pause = Math.max(backoff(was.tries, random), Math.ceil(Math.min(outcome.after ?? 0, BACKOFF.longest)))
      return { ...settled, tries: was.tries + 1, dueAt: at.now + pause, reason: outcome.reason }
    }
  }
}

/**
 * The standing of a job that was running when the process died. It is due at once. Innocent jobs that ran beside a
 * deadly one reach `CRASHES_UNTIL_ALONE` at most: from then on each runs alone, and only the deadly one counts on.
 */
export function afterCrash(was: Standing, at: Moment): Standing {
  const crashes = was.crashes + 1
  if (crashes < CRASHES_UNTIL_DEAD) return { ...was, state: 'queued', crashes, dueAt: at.now }
  return {
    ...was,
    state: 'dead',
    crashes,
    reason: {
      code: 'crashed',
      message: `the service died ${crashes} times while it worked on this job, the last ones on this job alone; see its log for the cause, then press Resend`,
    },
  }
}

/** Exponential backoff with full jitter, in ms. */
export function backoff(tries: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF.longest, BACKOFF.first * 2 ** Math.min(tries, 30))
  return Math.round(Math.max(BACKOFF.first, ceiling * random()))
}
