/** The position of a member's value in JSON text: [start, end). */
export type Span = readonly [start: number, end: number]

/**
 * The same as `memberSpan` for text that `JSON.stringify` wrote with two spaces of indentation: only members of the
 * outermost object begin a line with two spaces, since line breaks within strings are escaped. Takes almost no time.
 * Null for other text.
 */
export function lineSpan(text: string, name: string): Span | null {
  if (!text.startsWith('{\n  "')) return null
  const line = `\n  ${JSON.stringify(name)}: `
  const before = text.indexOf(line)
  if (before === -1) return null
  const start = before + line.length
  const next = text.indexOf(',\n  "', start)
  const end = next === -1 ? text.lastIndexOf('\n}') : next
  return end <= start ? null : [start, end]
}

/**
 * The position of the value of a member of the outermost object in JSON text. Null when there is no such member, and
 * for text of another form. Builds no values and does not recurse: a MiB takes some milliseconds, where parsing takes
 * up to half a second. The text between brackets is not validated.
 */
export function memberSpan(text: string, name: string): Span | null {
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_BRACE) return null
  do {
    at = skipSpace(text, at + 1)
    if (text.charCodeAt(at) !== QUOTE) return null
    const nameEnd = stringEnd(text, at)
    const isWanted = text.slice(at + 1, nameEnd - 1) === name
    at = skipSpace(text, nameEnd)
    if (text.charCodeAt(at) !== COLON) return null
    const start = skipSpace(text, at + 1)
    const end = valueEnd(text, start)
    if (end <= start || end >= text.length) return null
    if (isWanted) return [start, end]
    at = skipSpace(text, end)
  } while (text.charCodeAt(at) === COMMA)
  return null
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const [OPEN_BRACE, CLOSE_BRACE] = [0x7b, 0x7d]
const [OPEN_BRACKET, CLOSE_BRACKET] = [0x5b, 0x5d]

function skipSpace(text: string, from: number): number {
  let at = from
  for (; ; at++) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
  }
}

/** The index after the string that begins at `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return text.length
}

/** The index after the value that begins at `from`. */
function valueEnd(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at) - 1
      if (depth === 0) return at + 1
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) depth++
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      // The end of the enclosing object, after a number or a word.
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (code === COMMA || code <= 0x20)) return at
  }
  return text.length
}
