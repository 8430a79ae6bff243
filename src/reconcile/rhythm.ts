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
    /** From when on all deliveries are known. */
    begin(at: number): void {
      knownFrom = Math.min(knownFrom ?? at, at)
    },
    /** In order of time. `gapAt`: until then nothing could arrive, and no pause goes back further. */
    arrived(at: number, gapAt: number | null = null): void {
      const hour = Math.floor(at / HOUR_MS)
      const entry = hours.get(hour) ?? { count: 0, longest: 0 }
      if (lastAt !== null) entry.longest = Math.max(entry.longest, at - Math.max(lastAt, gapAt ?? lastAt))
      entry.count++
      hours.set(hour, entry)
      lastAt = at
      forget(at)
    },
    /**
     * For how long nothing has arrived, when that is too long; null else, and while no whole week is known. A service that
     * listens only since `listeningSince` waits as long before it complains.
     */
    brokenSince(now: number, listeningSince: number): number | null {
      if (knownFrom === null || knownFrom > now - WEEK_MS || lastAt === null) return null
      // The week before the silence: what it would push out of a week up to now is the very pause to compare it with, as
      // the last weekend's on the morning of a holiday.
      const from = lastAt - WEEK_MS
      const known = [...hours].filter(([hour]) => (hour + 1) * HOUR_MS >= from).map(([, entry]) => entry)
      if (known.reduce((sum, { count }) => sum + count, 0) < MIN_DELIVERIES) return null
      const limit = Math.max(TIMES * Math.max(...known.map(({ longest }) => longest)), MIN_SILENCE_MS)
      const silent = now - Math.max(lastAt, listeningSince)
      return silent > limit ? now - lastAt : null
    },
  }
}

export type Rhythm = ReturnType<typeof createRhythm>
