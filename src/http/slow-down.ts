import type { Clock } from '../clock.ts'

/** Failures of the last minute count, whoever made them: guesses can come from anywhere. */
const WINDOW_MS = 60_000
/** A person mistypes. */
const FREE_FAILURES = 3
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 2_000
/** Failures that are remembered: from the ninth on the pause is the longest. */
const MAX_REMEMBERED = 16
/** Refusals that wait at once: each holds a connection. */
const MAX_WAITING = 64

/** Makes guessing slow. Whoever has a token never waits. */
type SlowDown = {
  /**
   * Notes a failure. `done` when its pause is over, or when `signal` aborts; `too_many`, at once, when so many wait
   * that no further one may.
   */
  failed(signal: AbortSignal): Promise<'done' | 'too_many'>
}

/** From the fourth failure in a minute on each waits 100 ms, 200 ms and so on up to 2 s. */
export function createSlowDown({ clock }: { readonly clock: Clock }): SlowDown {
  let failures: number[] = []
  let waiting = 0

  function delay(): number {
    const now = clock.monotonic()
    failures = [...failures.filter((at) => at > now - WINDOW_MS), now].slice(-MAX_REMEMBERED)
    const slowed = failures.length - FREE_FAILURES
    return slowed <= 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (slowed - 1), MAX_DELAY_MS)
  }

  return {
    async failed(signal) {
      const ms = delay()
      if (ms === 0) return 'done'
      if (waiting >= MAX_WAITING) return 'too_many'
      waiting++
      try {
        await clock.sleep(ms, signal)
      } finally {
        waiting--
      }
      return 'done'
    },
  }
}
