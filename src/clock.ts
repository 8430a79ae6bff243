/** Time, replaceable in tests. */
export type Clock = {
  /** Wall clock, ms since 1970. It may jump. */
  now(): number
  /** Never jumps; counts from an arbitrary start, ms. */
  monotonic(): number
  /** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Node fires timers of more than 2^31-1 ms (24.8 days) at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // Not the one of timers/promises: it creates an error with a stack for each aborted sleep, and most sleeps are
  // aborted.
  sleep(ms, signal) {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, Math.min(Math.max(ms, 0), MAX_TIMER_MS))
      signal.addEventListener('abort', end)
    })
  },
}
