import { inspect, stripVTControlCharacters, types } from 'node:util'
import { causesOf } from './causes.ts'

/** Maximum characters of an error's text: some errors contain whole documents. */
const MAX_TEXT_CHARS = 20_000
/** Maximum characters of each cause's text, and maximum number of causes. */
const MAX_CAUSE_CHARS = 300
const MAX_CAUSES_NAMED = 5

/**
 * The thrown value as one text: its message, and in brackets its causes or, for an AggregateError, its errors. Any
 * value can be thrown; this never throws, and its result is bounded and has no control characters. It is not scrubbed.
 */
export function describeError(error: unknown): string {
  const text = messageOf(error)
  const causes = causeTexts(error, text)
  return causes.length === 0 ? text : `${text} (${causes.join('; ')})`
}

/** The thrown value without its causes, as in `describeError`. */
export function messageOf(error: unknown): string {
  if (typeof error === 'string') return printable(error)
  const message = memberOf(error, 'message')
  if (typeof message === 'string' && message !== '') return printable(message)
  const name = memberOf(error, 'name')
  // An object with a message is described like an error, whatever created it.
  if (message !== undefined && typeof name === 'string' && name !== '') return printable(name)
  return printable(inspected(error))
}

/** For each further cause its code, or else its message, unless `known` already contains it. */
export function causeTexts(error: unknown, known: string): readonly string[] {
  const texts: string[] = []
  for (const cause of causesOf(error).slice(1)) {
    const text = (codeOf(cause) ?? messageOf(cause)).slice(0, MAX_CAUSE_CHARS)
    if (!known.includes(text) && !texts.includes(text)) texts.push(text)
  }
  return texts.length > MAX_CAUSES_NAMED ? [...texts.slice(0, MAX_CAUSES_NAMED), '…'] : texts
}

/** The `code` of an error of Node or a library. */
export function codeOf(error: unknown): string | undefined {
  const code = memberOf(error, 'code')
  if (typeof code === 'number') return String(code)
  return typeof code === 'string' && code !== '' ? printable(code).slice(0, MAX_CAUSE_CHARS) : undefined
}

/** A member of any thrown value; undefined if reading it throws. */
export function memberOf(error: unknown, name: string): unknown {
  if ((typeof error !== 'object' && typeof error !== 'function') || error === null) return undefined
  try {
    return (error as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** `error instanceof kind`, also for values that throw when inspected; false for a proxy, whatever it claims to be. */
export function isA<T>(error: unknown, kind: abstract new (...args: never[]) => T): error is T {
  try {
    return !types.isProxy(error) && error instanceof kind
  } catch {
    return false
  }
}

/** Makes a text safe for a terminal. Line breaks stay. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are removed.
  return stripVTControlCharacters(text.slice(0, MAX_TEXT_CHARS)).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, ' ')
}

const INSPECT = { depth: 1, maxArrayLength: 10, maxStringLength: 1_000, breakLength: Infinity, customInspect: false }

function inspected(value: unknown): string {
  try {
    return inspect(value, INSPECT)
  } catch {
    return typeof value
  }
}
