import type { Clock } from '../clock.ts'
import type { EventBus } from '../events.ts'
import type { OperatorPause, Queue } from '../inbox/inbox.ts'

/** How often the inbox is asked whether an operator has stopped claims, ms. */
const LOOK_EVERY_MS = 1_500
/** A pause that lasts is told again after so long, ms: the line about its beginning may be gone from the log by then. */
export const TELL_AGAIN_MS = 600_000

type WatchDeps = { readonly queue: Pick<Queue, 'operatorPause'>; readonly clock: Clock; readonly events: EventBus }

export type PauseWatch = {
  /** The pause that was seen last; null when claims went on. */
  readonly pause: OperatorPause | null
  /** Watches until `signal` aborts. Never rejects. */
  start(signal: AbortSignal): Promise<void>
}

/**
 * Tells when an operator has stopped claims, while that lasts, and when they go on; also for a pause that was there before
 * the start.
 */
export function createPauseWatch({ queue, clock, events }: WatchDeps): PauseWatch {
  let told: { readonly pause: OperatorPause; readonly at: number } | null = null

  function tell(pause: OperatorPause | null): void {
    const now = clock.monotonic()
    if (pause === null) {
      if (told) events.emit('operatorResumed', { ms: Math.max(clock.now() - told.pause.since, 0) })
      told = null
      return
    }
    const isNew = told?.pause.since !== pause.since || told.pause.reason !== pause.reason
    if (!isNew && told && now - told.at < TELL_AGAIN_MS) return
    events.emit('operatorPaused', { ...pause, isNew })
    told = { pause, at: now }
  }

  return {
    get pause() {
      return told?.pause ?? null
    },
    async start(signal) {
      while (!signal.aborted) {
        tell(queue.operatorPause())
        await clock.sleep(LOOK_EVERY_MS, signal)
      }
    },
  }
}
