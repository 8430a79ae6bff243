import { inspect, stripVTControlCharacters, types } from 'node:util'
import { causesOf } from './causes.ts'

/** What an error says, of which more is read by nobody: some throw whole documents. Characters. */
const MAX_TEXT = 20_000
/** The same of each of its causes, and how many of these are told. */
const MAX_CAUSE_TEXT = 300
const MAX_CAUSES_TOLD = 5

/**
 * What was thrown, in one text: its message, and in brackets what caused it or, of an AggregateError, what is in it.
 * Anything can be thrown; this never throws, and its result is bounded and has no control characters. It is not scrubbed.
 */
export function describeError(error: unknown): string {
  const text = messageOf(error)
  const causes = causeTexts(error, text)
  return causes.length === 0 ? text : `${text} (${causes.join('; ')})`
}

/** What was thrown, without its causes: as `describeError`. */
export function messageOf(error: unknown): string {
  if (typeof error === 'string') return printable(error)
  const message = memberOf(error, 'message')
  if (typeof message === 'string' && message !== '') return printable(message)
  const name = memberOf(error, 'name')
  // An object with a message of its own is told like an error, whatever made it.
  if (message !== undefined && typeof name === 'string' && name !== '') return printable(name)
  return printable(inspected(error))
}

/** For each further cause its code, or else its message, where `told` does not hold it already. */
export function causeTexts(error: unknown, told: string): readonly string[] {
  const texts: string[] = []
  for (const cause of causesOf(error).slice(1)) {
    const text = (codeOf(cause) ?? messageOf(cause)).slice(0, MAX_CAUSE_TEXT)
    if (!told.includes(text) && !texts.includes(text)) texts.push(text)
  }
  return texts.length > MAX_CAUSES_TOLD ? [...texts.slice(0, MAX_CAUSES_TOLD), '…'] : texts
}

/** The `code` of an error of Node's or a library's. */
export function codeOf(error: unknown): string | undefined {
  const code = memberOf(error, 'code')
  if (typeof code === 'number') return String(code)
  return typeof code === 'string' && code !== '' ? printable(code).slice(0, MAX_CAUSE_TEXT) : undefined
}

/** A member of whatever was thrown; undefined where reading it throws. */
export function memberOf(error: unknown, name: string): unknown {
  if ((typeof error !== 'object' && typeof error !== 'function') || error === null) return undefined
  try {
    return (error as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** `error instanceof kind`, also of what throws when it is looked at; false for a proxy, whatever it says that it is. */
export function isA<T>(error: unknown, kind: abstract new (...args: never[]) => T): error is T {
  try {
    return !types.isProxy(error) && error instanceof kind
  } catch {
    return false
  }
}

/** Fit for a terminal. Line breaks stay. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
  return stripVTControlCharacters(text.slice(0, MAX_TEXT)).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, ' ')
}

const INSPECT = { depth: 1, maxArrayLength: 10, maxStringLength: 1_000, breakLength: Infinity, customInspect: false }

function inspected(value: unknown): string {
  try {
    return inspect(value, INSPECT)
  } catch {
    return typeof value
  }
}
