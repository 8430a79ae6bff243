import { setTimeout as delay } from 'node:timers/promises'

/** Time, so that tests can have their own. */
export type Clock = {
  /** Wall clock, ms since 1970. It may jump. */
  now(): number
  /** Never jumps; from an arbitrary start, ms. */
  monotonic(): number
  /** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** Node fires timers of more than 2^31-1 ms (24.8 days) at once. */
const LONGEST_TIMER = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    await delay(Math.min(Math.max(ms, 0), LONGEST_TIMER), undefined, { signal }).catch(() => {})
  },
}
