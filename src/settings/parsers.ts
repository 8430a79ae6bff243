import { parseDuration } from '../units.ts'

/** Parsers of single values. Each throws an Error that says what is accepted. */

/** Svix can replay for up to 90 days, so ids must be kept at least that long. */
const MIN_RETENTION_MS = parseDuration('90d')
/** Each look may cost some hundred calls. */
const MIN_RECONCILE_MS = parseDuration('1m')
/** Looks get four times rarer while all is well, and Reducto keeps results for about 12 hours. */
const MAX_RECONCILE_MS = parseDuration('2h')
/** An orchestrator kills the process long before. */
const MAX_GRACE_MS = parseDuration('1h')
/** Node's fetch gives up after five minutes without an answer. */
const MIN_HANDLER_TIMEOUT_MS = parseDuration('1s')
const MAX_HANDLER_TIMEOUT_MS = parseDuration('5m')

/** The items of a list, separated by spaces, commas or line breaks. */
export function separated(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '')
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new Error(`must be a whole number from ${least} to ${most}`)
    return value
  }
}

export function oneOf<const T extends string>(choices: readonly T[], more = ''): (text: string) => T {
  return (text) => {
    const chosen = choices.find((choice) => choice === text)
    if (chosen === undefined) throw new Error(`must be ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}${more}`)
    return chosen
  }
}

export function retention(text: string): number {
  const ms = parseDuration(text)
  if (ms < MIN_RETENTION_MS) throw new Error('must be at least 90d: Svix can replay a delivery for that long')
  return ms
}

export function resultsRetention(text: string): number | null {
  return text === 'forever' ? null : parseDuration(text)
}

/** How often expected jobs are looked after, ms; null for `off`. */
export function reconcileEvery(text: string): number | null {
  if (text === 'off') return null
  const ms = parseDuration(text)
  if (ms < MIN_RECONCILE_MS || ms > MAX_RECONCILE_MS) throw new Error('must be from 1m to 2h, or off')
  return ms
}

export function handlerTimeout(text: string): number {
  const ms = parseDuration(text)
  if (ms < MIN_HANDLER_TIMEOUT_MS || ms > MAX_HANDLER_TIMEOUT_MS) throw new Error('must be from 1s to 5m')
  return ms
}

export function shutdownGrace(text: string): number {
  const ms = parseDuration(text)
  if (ms > MAX_GRACE_MS) throw new Error('must be at most 1h')
  return ms
}

/** The path of a module. */
export function modulePath(text: string): string {
  if (/^[a-z][a-z0-9+.-]+:/i.test(text)) throw new Error('must be the path of a file, without a scheme')
  return withoutTilde(text)
}

export function withoutTilde(path: string): string {
  if (/^~(?:\/|$)/.test(path)) throw new Error('must be without ~, which only a shell expands: write the whole path')
  return path
}
