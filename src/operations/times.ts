import { parseDuration } from '../units.ts'

/** A time as ISO 8601, or as a duration back from `now`: ms. Null for anything else. */
export function timeFrom(text: string, now: number): number | null {
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return time
  try {
    return now - parseDuration(text)
  } catch {
    return null
  }
}
