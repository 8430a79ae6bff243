const HOUR_MS = 3_600_000
/** How far back the rhythm of deliveries is known, ms: a week has its nights and its Sunday. */
export const WEEK_MS = 7 * 24 * HOUR_MS
/** With fewer deliveries in a week there is no rhythm that could break. */
export const MIN_DELIVERIES = 20
/** Silence that is shorter is none, however dense the deliveries were, ms. */
const MIN_SILENCE_MS = 15 * 60_000
/** Silence: nothing for so many times the longest pause. */
const TIMES = 3

/** What arrived within one hour: how often, and the longest pause that ended in it. */
type Hour = { count: number; longest: number }

/** The rhythm in which deliveries arrive, in an entry for each hour of the last week. All times are ms. */
export function createRhythm() {
  const hours = new Map<number, Hour>()
  let knownFrom: number | null = null
  let lastAt: number | null = null

  function forget(now: number): void {
    for (const hour of hours.keys()) if ((hour + 1) * HOUR_MS < now - WEEK_MS) hours.delete(hour)
  }

  return {
    /** Where the week begins that `now` is the end of. */
    from: (now: number) => now - WEEK_MS,
    /** From when on all deliveries are known. */
    begin(at: number): void {
      knownFrom = Math.min(knownFrom ?? at, at)
    },
    /** In order of time. */
    arrived(at: number): void {
      const hour = Math.floor(at / HOUR_MS)
      const entry = hours.get(hour) ?? { count: 0, longest: 0 }
      if (lastAt !== null) entry.longest = Math.max(entry.longest, at - lastAt)
      entry.count++
      hours.set(hour, entry)
      lastAt = at
      forget(at)
    },
    /**
     * For how long nothing has arrived, when that is too long; null else, and while no whole week is known. A service that
     * has just started waits as long before it complains.
     */
    brokenSince(now: number, startedAt: number): number | null {
      if (knownFrom === null || knownFrom > now - WEEK_MS || lastAt === null) return null
      const known = [...hours].filter(([hour]) => (hour + 1) * HOUR_MS >= now - WEEK_MS).map(([, entry]) => entry)
      if (known.reduce((sum, { count }) => sum + count, 0) < MIN_DELIVERIES) return null
      const limit = Math.max(TIMES * Math.max(...known.map(({ longest }) => longest)), MIN_SILENCE_MS)
      const silent = now - Math.max(lastAt, startedAt)
      return silent > limit ? now - lastAt : null
    },
  }
}
