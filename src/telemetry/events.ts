import { EventEmitter } from 'node:events'
import type { ActionName, Actor } from '../actor.ts'
import type { CleanOutcome, CleanReason, Task } from '../job.ts'
import type { CleanText } from './scrub.ts'

/** Why the worker claims nothing, other than by an operator's request. `/readyz` shows these names as degraded. */
export type PauseCause = 'reducto_auth' | 'results' | 'disk'

/** Why deliveries cannot be accepted. `/readyz` shows these names. */
export type NotReady = 'starting' | 'draining' | 'inbox' | 'inbox_locked'

/** Problems after the inbox: deliveries are still accepted. */
export type Degraded =
  | PauseCause
  | 'worker_paused'
  | 'reducto'
  | 'handler'
  | 'payload'
  | 'downloads'
  | 'clock'
  | 'results_apart'
  | 'settings_differ'
  | 'silence'

/**
 * Everything that happens in the service, for its log, metrics and the demo. Ids, outcomes and durations; never a
 * payload.
 */
export type Events = {
  /**
   * A request to a webhook route was recorded and answered. `ms`: since its arrival. `unexpected`: it was ignored, and
   * is not one of Svix's tests; Reducto's payloads may have changed.
   */
  delivery: [
    {
      readonly endpoint: string
      readonly svixId: string
      readonly jobId: string | null
      readonly outcome: 'accepted' | 'duplicate' | 'requeued' | 'ignored' | 'invalid'
      readonly status: string | null
      readonly ms: number
      readonly unexpected?: true
    },
  ]
  /**
   * A request was refused: by the HTTP parser, for an unknown path, or by a check. Its contents are not verified, and
   * so not repeated. `status`: 0 when it got no answer; `reason`: one of a fixed set; `peer`: the caller's address
   * according to TRUST_PROXY; `code`: the parser's; `cause`: the fault of a verified payload, or of this service.
   */
  refused: [
    {
      readonly endpoint: string
      readonly status: number
      readonly reason: string
      readonly peer: string
      readonly code?: string
      readonly cause?: string
    },
  ]
  /** The key was checked with Reducto at start. Null: Reducto did not say whether it is valid. */
  keyProbed: [{ readonly isGood: boolean | null }]
  /** An attempt at a job begins. */
  started: [{ readonly jobId: string; readonly attempt: number }]
  /**
   * An attempt has ended and its outcome is stored. `ms`: its duration; `calls`: answers received from Reducto; `type`: the
   * kind of job, from its record. `sinceDelivery`: ms since the job's first delivery; null in later rounds, or without one.
   */
  settled: [
    {
      readonly jobId: string
      readonly stage: Task
      readonly outcome: CleanOutcome
      readonly state: string
      readonly attempt: number
      readonly dueAt: number
      readonly ms: number
      readonly calls: number
      readonly files: number
      readonly bytes: number
      readonly type: string | null
      readonly sinceDelivery: number | null
    },
  ]
  /** An attempt at missing side files has ended. `again`: when the next one is due; null when there is none. */
  sideFiles: [
    {
      readonly jobId: string
      /** How many are still missing; null when the attempt failed. */
      readonly missing: number | null
      readonly again: number | null
      readonly ms: number
      readonly calls: number
    },
  ]
  /** An attempt ended after its claim had been lost: nothing was changed. */
  claimLost: [{ readonly jobId: string }]
  /** An operation of the service itself failed; it will be retried. */
  failing: [{ readonly what: string; readonly error: unknown }]
  /** The worker stopped claiming; no job is the cause. */
  paused: [{ readonly cause: PauseCause; readonly reason: CleanReason }]
  /** The cause is gone. `ms`: how long it lasted. */
  resumed: [{ readonly cause: PauseCause; readonly ms: number }]
  /**
   * A problem after the inbox: when it begins, and `repeated` while it lasts. `since`: ms since 1970; `waiting`: jobs
   * that wait now; `oldest`: since when the first of them has waited.
   */
  degraded: [
    {
      readonly name: Degraded
      readonly message: CleanText
      readonly since: number
      readonly waiting?: number
      readonly oldest?: number | null
      readonly repeated: boolean
    },
  ]
  /** The problem is over. `ms`: how long it was seen. */
  recovered: [{ readonly name: Degraded; readonly ms: number }]
  /**
   * A job has ended, or is unknown to Reducto (`status` null), and no webhook said so: it is queued. `ms`: since it was
   * registered.
   */
  missed: [{ readonly jobId: string; readonly status: string | null; readonly ms: number }]
  /** A look after overdue jobs found some that were missed. `jobIds`: the first of them; `cause`: what to look at first. */
  missedWebhooks: [
    {
      readonly count: number
      readonly overdue: number
      readonly asked: number
      readonly jobIds: readonly string[]
      readonly cause: string
    },
  ]
  /** The service did not run for longer than Svix tries. `since`: when it last looked after its jobs, ms since 1970. */
  longStop: [{ readonly ms: number; readonly since: number }]
  /**
   * An operator does something through this process. `who`: a claim, not proof; `jobs`: how many jobs or deliveries it is
   * for, 0 for what concerns the service as a whole.
   */
  action: [{ readonly action: ActionName; readonly who: string; readonly role: Actor['role']; readonly jobs: number }]
  /** Reducto asked for fewer calls: no claims for `ms`. */
  slowed: [{ readonly ms: number }]
  /**
   * A transaction of the inbox is over. `rows`: the changes that shared it; `ms`: until it was answered; `failed`: as a
   * whole, and nothing of it was kept.
   */
  committed: [{ readonly rows: number; readonly ms: number; readonly failed: boolean }]
  /** The inbox was asked something. `question`: by its name in the code; `ms`: until it was answered. */
  read: [{ readonly question: string; readonly ms: number }]
}

export type EventBus = EventEmitter<Events>

export function createEvents(): EventBus {
  return new EventEmitter<Events>()
}
