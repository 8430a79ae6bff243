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

/**
 * The working clock: how long the worker has been free to work, in ms, since the inbox was made. Patience with jobs is
 * measured on it, so that a pause or a stop of any length costs no job anything. It runs while nothing holds it.
 */
export type WorkingClock = {
  read(): number
  /** Continues from a stored reading. */
  set(reading: number): void
  hold(by: string): void
  release(by: string): void
  isHeld(by: string): boolean
}

/** A working clock at 0, held by `heldBy`. */
export function createWorkingClock(clock: Clock, ...heldBy: string[]): WorkingClock {
  const holders = new Set(heldBy)
  let reached = 0
  let since: number | null = holders.size === 0 ? clock.monotonic() : null
  const read = () => Math.floor(reached + (since === null ? 0 : clock.monotonic() - since))
  return {
    read,
    set(reading) {
      reached = reading
      if (since !== null) since = clock.monotonic()
    },
    hold(by) {
      reached = read()
      holders.add(by)
      since = null
    },
    release(by) {
      holders.delete(by)
      if (holders.size === 0) since ??= clock.monotonic()
    },
    isHeld: (by) => holders.has(by),
  }
}
