import { losslessNumber } from '../lossless-json.ts'
import { isTooDeep, updateIn, withoutByteOrderMark } from './payload.ts'

/**
 * The metadata of a delivered body, plain or wrapped, with the digits of its numbers (`stringifyLossless` writes them
 * back). Null when there is none, and for anything that is not a job update. Never throws.
 *
 * `parseLossless` calls a function for every value, which takes half a second for 1 MiB of small ones. A body whose
 * numbers JavaScript represents exactly needs only `JSON.parse`; any other body is read by the parser below.
 */
export function metadataOf(body: string): unknown {
  const text = withoutByteOrderMark(body)
  if (isTooDeep(text)) return null
  try {
    const metadata = metadataIn(JSON.parse(text))
    if (metadata === null || typeof metadata === 'string' || typeof metadata === 'boolean') return metadata
    return hasChangingNumber(text) ? metadataIn(createParser(text)()) : metadata
  } catch {
    return null
  }
}

function metadataIn(payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return null
  return updateIn(payload)?.metadata ?? null
}

function hasChangingNumber(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at) - 1
    else if (isPartOfNumber(code) && code !== LETTER_E) {
      const end = endOfNumber(text, at)
      if (changes(text, at, end)) return true
      at = end - 1
    }
  }
  return false
}

/** Maximum digits of an integer that JavaScript never changes. */
const MAX_SAFE_DIGITS = 15

/** Whether JavaScript would write the number from `start` to `end` differently. */
function changes(text: string, start: number, end: number): boolean {
  if (end - start <= MAX_SAFE_DIGITS && isWholeNumber(text, start, end)) return false
  const source = text.slice(start, end)
  return String(Number(source)) !== source
}

/** Whether the text consists of digits only. */
function isWholeNumber(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return true
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return text.length
}

function endOfNumber(text: string, start: number): number {
  let at = start
  while (isPartOfNumber(text.charCodeAt(at))) at++
  return at
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_E = 0x65

/** Reads a text that JSON.parse has accepted. The caller limits its depth. */
function createParser(text: string): () => unknown {
  let at = 0

  function skipSpace(): number {
    for (;;) {
      const code = text.charCodeAt(at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      at++
    }
  }

  function value(): unknown {
    switch (skipSpace()) {
      case 0x7b:
        return object()
      case 0x5b:
        return array()
      case QUOTE:
        return string()
      case 0x74:
        return literal('true', true)
      case 0x66:
        return literal('false', false)
      case 0x6e:
        return literal('null', null)
      default:
        return number()
    }
  }

  function object(): Record<string, unknown> {
    const members: Record<string, unknown> = {}
    at++
    while (skipSpace() !== 0x7d) {
      if (text.charCodeAt(at) === 0x2c) {
        at++
        skipSpace()
      }
      const name = string()
      skipSpace()
      at++
      const member = value()
      if (name === '__proto__')
        Object.defineProperty(members, name, { value: member, enumerable: true, configurable: true, writable: true })
      else members[name] = member
    }
    at++
    return members
  }

  function array(): unknown[] {
    const items: unknown[] = []
    at++
    while (skipSpace() !== 0x5d) {
      if (text.charCodeAt(at) === 0x2c) at++
      items.push(value())
    }
    at++
    return items
  }

  function string(): string {
    const start = at
    at = endOfString(text, start)
    const inside = text.slice(start + 1, at - 1)
    return inside.includes('\\') ? (JSON.parse(text.slice(start, at)) as string) : inside
  }

  function literal<T>(word: string, meaning: T): T {
    at += word.length
    return meaning
  }

  function number(): unknown {
    const start = at
    at = endOfNumber(text, start)
    const source = text.slice(start, at)
    return changes(text, start, at) ? losslessNumber(source) : Number(source)
  }

  return value
}

/** A digit, or one of `+ - . e E`. */
function isPartOfNumber(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e || code === 0x65 || code === 0x45
  )
}
