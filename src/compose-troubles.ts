import type { Inbox, OperatorPause } from './inbox/inbox.ts'
import type { Reconcile } from './reconcile/reconcile.ts'
import type { Trouble } from './telemetry/degradations.ts'
import type { Scrub } from './telemetry/scrub.ts'
import type { Retention } from './worker/retention.ts'

type TroubledParts = {
  readonly inbox: Pick<Inbox, 'operatorPause'>
  readonly retention: Pick<Retention, 'isWaitingForClock'>
  readonly reconcile: Pick<Reconcile, 'silence'>
  /** What is unexpected about payloads, for people; null when nothing is. */
  readonly payload: () => string | null
  readonly scrub: Scrub
}

/** The troubles of the moment that are not the worker's own. */
export function* troublesOf({ inbox, retention, reconcile, payload, scrub }: TroubledParts): Iterable<Trouble> {
  const trouble = (name: Trouble['name'], message: string) => ({ name, message: scrub(message) })
  const pause = inbox.operatorPause()
  if (pause) yield { ...trouble('worker_paused', pauseMessage(pause)), since: pause.since }
  if (retention.isWaitingForClock)
    yield trouble(
      'clock',
      'the wall clock has jumped: nothing is deleted before it agrees; check the time of this machine',
    )
  const unexpected = payload()
  if (unexpected) yield trouble('payload', unexpected)
  const silence = reconcile.silence()
  if (silence) yield trouble('silence', silence)
}

function pauseMessage({ reason }: OperatorPause): string {
  const why = reason === null ? '' : ` (${reason})`
  return `an operator paused the worker${why}: deliveries are accepted, and jobs wait for "resume"`
}
