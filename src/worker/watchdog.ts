import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'

/** Calls `expire` once when `touch` has not been called for `ms`. */
export type Watchdog = {
  /** Restarts the time: something new has arrived. */
  touch(): void
  [Symbol.dispose](): void
}

export function createWatchdog(clock: Clock, ms: number, expire: () => void): Watchdog {
  const stopping = new AbortController()
  let touchedAt = clock.monotonic()

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      const left = touchedAt + ms - clock.monotonic()
      if (left <= 0) return expire()
      await clock.sleep(left, stopping.signal)
    }
  }

  void watch()
  return {
    touch() {
      touchedAt = clock.monotonic()
    },
    [Symbol.dispose]: () => stopping.abort(NO_REASON),
  }
}
