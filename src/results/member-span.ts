/** Where the value of a member of JSON text stands: [start, end). */
export type Span = readonly [start: number, end: number]

/**
 * The same as `memberSpan` for text as `JSON.stringify` writes it with two spaces: members of the outermost object, and
 * nothing else, begin a line with these, since a line break within a text is escaped. Takes next to no time. Null for
 * other text.
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
 * Where the value of a member of the outermost object stands in JSON text. Null when there is none, and for
 * text that has no such form. Makes nothing of the text and takes no stack: a MiB takes some milliseconds, where parsing takes up
 * to half a second. What is between its brackets is not checked.
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

/** The index after a string that begins at `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return text.length
}

/** The index after a value that begins at `from`. */
function valueEnd(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at) - 1
      if (depth === 0) return at + 1
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) depth++
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      // The end of the object itself, behind a number or a word.
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (code === COMMA || code <= 0x20)) return at
  }
  return text.length
}
