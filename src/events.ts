import { EventEmitter } from 'node:events'
import type { CleanOutcome, CleanReason, Task } from './job.ts'
import type { CleanText } from './scrub.ts'

/** Why the worker claims nothing, other than by an operator's wish. The names that `/readyz` shows as degraded. */
export type PauseCause = 'reducto_auth' | 'results' | 'disk'

/** Why deliveries cannot be accepted. The names that `/readyz` shows. */
export type NotReady = 'starting' | 'draining' | 'inbox' | 'inbox_locked'

/** What is wrong behind the inbox: deliveries are accepted all the same. */
export type Degraded = PauseCause | 'worker_paused' | 'reducto' | 'handler' | 'payload' | 'downloads' | 'clock'

/** What happens in the service, for its log, metrics and the demo. Ids, outcomes and durations; never a payload. */
export type Events = {
  /**
   * A request to a webhook route was recorded and answered. `ms` is from its arrival. `unexpected`: it was ignored, and is
   * not one of Svix's tests either; Reducto's payloads may have changed.
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
   * A request was refused, by the HTTP parser, by a path that does not exist, or by a check. What it held is not
   * verified, and so not repeated. `status`: 0 when it got no answer; `reason`: one of a fixed set; `peer`: the caller's
   * address, as TRUST_PROXY says; `code`: the parser's; `cause`: what is wrong with a verified payload, or on our side.
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
  /** Reducto was asked at start whether the key is good. Null: it did not say. */
  keyProbed: [{ readonly isGood: boolean | null }]
  /** An attempt at a job begins. */
  started: [{ readonly jobId: string; readonly attempt: number }]
  /**
   * An attempt is over and its outcome is stored. `ms`: its duration; `calls`: answers taken from Reducto; `type`: the kind
   * of job, as its record has it. `sinceDelivery`: ms since the job's first delivery; null in later rounds, or without one.
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
  /** A try at missing side files is over. `again`: when the next one is due; null when there is none. */
  sideFiles: [
    {
      readonly jobId: string
      /** How many are missing now; null when the try failed. */
      readonly missing: number | null
      readonly again: number | null
      readonly ms: number
      readonly calls: number
    },
  ]
  /** An attempt was over, but its claim had been lost: nothing was changed. */
  claimLost: [{ readonly jobId: string }]
  /** An operation of the service itself failed; it tries again. */
  failing: [{ readonly what: string; readonly error: unknown }]
  /** The worker stopped claiming; the cause is not any job's. */
  paused: [{ readonly cause: PauseCause; readonly reason: CleanReason }]
  /** The cause is gone. `ms`: for how long it held. */
  resumed: [{ readonly cause: PauseCause; readonly ms: number }]
  /**
   * Something behind the inbox is wrong: when it begins, and `repeated` while it lasts. `since`: ms since 1970; `waiting`:
   * jobs that wait now; `oldest`: since when the first of them does.
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
  /** It is over. `ms`: for how long it was seen. */
  recovered: [{ readonly name: Degraded; readonly ms: number }]
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
