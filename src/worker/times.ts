import type { Clock } from '../clock.ts'
import type { AttemptTimes } from './attempt.ts'

/**
 * Measures where the time of a fetch goes. A fresh answer may be asked for while files are saved: its time counts as
 * fetching alone.
 */
export function createTimes(clock: Clock) {
  let fetchMs: number | null = null
  /** When saving began; null before it has. */
  let savingSince: number | null = null
  let savedMs: number | null = null
  /** Fetched within a saving that is under way. */
  let within = 0

  async function fetching<T>(work: () => Promise<T>): Promise<T> {
    const began = clock.monotonic()
    try {
      return await work()
    } finally {
      const ms = clock.monotonic() - began
      fetchMs = (fetchMs ?? 0) + ms
      within += ms
    }
  }

  async function saving<T>(work: () => Promise<T>): Promise<T> {
    savingSince = clock.monotonic()
    within = 0
    try {
      return await work()
    } finally {
      savedMs = savingNow()
    }
  }

  function savingNow(): number | null {
    return savingSince === null ? null : Math.max(clock.monotonic() - savingSince - within, 0)
  }

  return {
    fetching,
    saving,
    /** What has been measured so far; null where nothing was. */
    get taken(): AttemptTimes {
      return { fetchMs, saveMs: savedMs ?? savingNow(), handOverMs: null }
    },
  }
}
