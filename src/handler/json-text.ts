import { setImmediate } from 'node:timers/promises'

/** Characters that are checked before the event loop gets control: about a millisecond. */
const MAX_STEP_CHARS = 64 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y
const ESCAPED = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y

/** What may come next. `value or end`: in an array that has just been opened; the same for names. */
type Expected = 'value' | 'value or end' | 'name' | 'name or end' | ':' | ', or end'

/**
 * Whether `text` is one JSON value. Builds no values and yields often, where `JSON.parse` blocks the event loop for up
 * to 150 ms per MiB.
 */
export async function isJsonText(text: string): Promise<boolean> {
  const open: ('[' | '{')[] = []
  let expected: Expected = 'value'
  let nextPause = MAX_STEP_CHARS
  let at = skipSpace(text, 0)
  for (; at < text.length; at = skipSpace(text, at)) {
    if (at >= nextPause) {
      await setImmediate()
      nextPause = at + MAX_STEP_CHARS
    }
    const char = text[at]!
    const inside = open.at(-1)
    if (expected === ', or end' && inside === undefined) return false
    if (expected.startsWith('value') && (char === '[' || char === '{')) {
      open.push(char)
      expected = char === '[' ? 'value or end' : 'name or end'
      at++
    } else if (expected.endsWith('or end') && char === (inside === '[' ? ']' : '}')) {
      open.pop()
      expected = ', or end'
      at++
    } else if (expected === ', or end' && char === ',') {
      expected = inside === '[' ? 'value' : 'name'
      at++
    } else if (expected === ':' && char === ':') {
      expected = 'value'
      at++
    } else if (expected.startsWith('name') || (expected.startsWith('value') && char === '"')) {
      at = endOfString(text, at)
      expected = expected.startsWith('name') ? ':' : ', or end'
    } else if (expected.startsWith('value')) {
      at = endOf(SCALAR, text, at)
      expected = ', or end'
    } else return false
    if (at === -1) return false
  }
  return open.length === 0 && expected === ', or end'
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** False at the end, where the code is NaN. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** -1 when there is no string. */
function endOfString(text: string, from: number): number {
  if (text.charCodeAt(from) !== QUOTE) return -1
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code < FIRST_PRINTABLE) return -1
    if (code !== BACKSLASH) continue
    const end = endOf(ESCAPED, text, at + 1)
    if (end === -1) return -1
    at = end - 1
  }
  return -1
}

function endOf(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from
  return pattern.test(text) ? pattern.lastIndex : -1
}
