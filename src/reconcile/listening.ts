import type { Clock } from '../clock.ts'

/** The wall clock and the monotonic one part by this much only when one was set, or the machine slept. Ms. */
const MAX_DRIFT_MS = 60_000

/**
 * Since when this process has listened without a gap, by the wall clock. A clock that was set, and a machine that slept,
 * make a gap in which nothing could arrive.
 */
export function createListening(clock: Clock) {
  const offsetNow = () => clock.now() - clock.monotonic()
  const startedAt = clock.now()
  let gapAt: number | null = null
  let offset = offsetNow()

  /** Where the last gap ended, ms; null when there was none since the start. */
  function lastGap(): number | null {
    const now = offsetNow()
    if (Math.abs(now - offset) > MAX_DRIFT_MS) gapAt = clock.now()
    // A clock that is set little by little has not jumped.
    offset = now
    return gapAt
  }

  return { lastGap, since: (): number => lastGap() ?? startedAt }
}
