/** Upper limit of a pause, ms. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000

/** The three forms of an HTTP date begin with a day's name; `Date.parse` alone would accept almost any text. */
const HTTP_DATE = /^(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?,? /

/**
 * Parses `Retry-After` to ms: seconds or an HTTP date, relative to `now` (ms), at most a day. Undefined when absent or
 * invalid.
 */
export function parseRetryAfter(value: string | null | undefined, now: number): number | undefined {
  const text = value?.trim()
  if (!text) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(Math.ceil(Number(text) * 1000), MAX_RETRY_AFTER_MS)
  const date = HTTP_DATE.test(text) ? Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - now, 0), MAX_RETRY_AFTER_MS)
}
