import { describe, expect, it } from 'vitest'
import { createRhythm, MIN_DELIVERIES, WEEK_MS } from '../../src/reconcile/rhythm.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const START = 1_700_000_000_000 - (1_700_000_000_000 % HOUR)

/** A delivery every hour by day, and nothing from 20 h to 8 h. */
function week() {
  const rhythm = createRhythm()
  rhythm.begin(START)
  let last = START
  for (let hour = 0; hour < 7 * 24; hour++) {
    if (hour % 24 < 8 || hour % 24 > 20) continue
    last = START + hour * HOUR
    rhythm.arrived(last)
  }
  return { rhythm, last }
}

describe('the rhythm of deliveries', () => {
  it('is broken after three times its longest pause, and a night is no silence', () => {
    const { rhythm, last } = week()
    expect(rhythm.brokenSince(last + 12 * HOUR, START)).toBeNull()
    expect(rhythm.brokenSince(last + 36 * HOUR, START)).toBeNull()
    expect(rhythm.brokenSince(last + 36 * HOUR + 1, START)).toBe(36 * HOUR + 1)
    rhythm.arrived(last + 40 * HOUR)
    expect(rhythm.brokenSince(last + 41 * HOUR, START)).toBeNull()
  })

  it('is unknown until a whole week is known', () => {
    const rhythm = createRhythm()
    rhythm.begin(START + 1)
    for (let n = 0; n < 1_000; n++) rhythm.arrived(START + n * MINUTE)
    expect(rhythm.brokenSince(START + WEEK_MS - HOUR, START)).toBeNull()
  })

  it('is none with a few deliveries', () => {
    const rhythm = createRhythm()
    rhythm.begin(START)
    for (let n = 1; n < MIN_DELIVERIES; n++) rhythm.arrived(START + WEEK_MS + n)
    expect(rhythm.brokenSince(START + WEEK_MS + HOUR, START)).toBeNull()
    rhythm.arrived(START + WEEK_MS + MIN_DELIVERIES)
    expect(rhythm.brokenSince(START + WEEK_MS + HOUR, START)).not.toBeNull()
  })

  it('gives a service that has just started the same time', () => {
    const { rhythm, last } = week()
    expect(rhythm.brokenSince(last + 50 * HOUR, last + 49 * HOUR)).toBeNull()
  })

  it('forgets pauses that are older than a week', () => {
    const { rhythm, last } = week()
    for (let n = 1; n <= 8 * 24 * 4; n++) rhythm.arrived(last + n * 15 * MINUTE)
    const now = last + 8 * 24 * HOUR
    expect(rhythm.brokenSince(now + 46 * MINUTE, START)).not.toBeNull()
    expect(rhythm.brokenSince(now + 44 * MINUTE, START)).toBeNull()
  })
})
