import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'

/** What is younger is not asked for again, ms. */
const REFRESH_AFTER_MS = 5_000
/** What is older is not shown: no value is better than one of long ago, ms. */
const MAX_AGE_MS = 60_000
/** For a question that is under way, ms. */
export const MAX_WAIT_MS = 500

/** An answer that is shared by all who look. Null: there is none that is young enough. */
export type Cached<T> = { read(): Promise<T | null> }

/** For what costs more than a few milliseconds, ms. */
type Keep = { readonly refreshAfter?: number; readonly maxAge?: number }

/**
 * Asks when somebody looks, one question at a time. Whoever looks waits for half a second at most, and what is asked may
 * hang: the last answer is shown until it is a minute old.
 */
export function createCached<T>(ask: () => Promise<T>, clock: Clock, keep: Keep = {}): Cached<T> {
  const { refreshAfter = REFRESH_AFTER_MS, maxAge = MAX_AGE_MS } = keep
  let known: { readonly value: T; readonly at: number } | null = null
  let asking: { readonly done: Promise<void>; readonly since: number } | null = null

  async function refresh(): Promise<void> {
    try {
      known = { value: await ask(), at: clock.monotonic() }
    } catch {
      // An inbox or a disk that cannot be read shows elsewhere; its last answer grows old.
    } finally {
      asking = null
    }
  }

  function age(): number {
    return known === null ? Number.POSITIVE_INFINITY : clock.monotonic() - known.at
  }

  return {
    async read() {
      if (age() >= refreshAfter) {
        asking ??= { done: refresh(), since: clock.monotonic() }
        const left = asking.since + MAX_WAIT_MS - clock.monotonic()
        if (left > 0) await firstOf(asking.done, left, clock)
      }
      return known !== null && age() < maxAge ? known.value : null
    },
  }
}

async function firstOf(done: Promise<void>, ms: number, clock: Clock): Promise<void> {
  const waiting = new AbortController()
  await Promise.race([done, clock.sleep(ms, waiting.signal)])
  waiting.abort(NO_REASON)
}
