/** A text with escapes decoded: its character `i` represents the original from `from[i]` to `to[i]`. */
export type Reading = { readonly text: string; readonly from: Uint32Array; readonly to: Uint32Array }

/** Levels of nested escapes that are decoded. */
const MAX_LAYERS = 3
/** Kinds of escapes can be nested in any order; more combinations in one text are noise. */
const MAX_READINGS = 24
/** Maximum characters of all readings of one text together: as many as a text of usual length can have. */
const MAX_READINGS_LENGTH = 64 * 1024
/**
 * For a text of up to this many characters all readings are within that bound, since no reading is longer than its
 * text.
 */
export const MAX_LENGTH_READ_WHOLE = Math.floor(MAX_READINGS_LENGTH / MAX_READINGS)

type Escape = { readonly pattern: RegExp; readonly decode: (escaped: string) => string }

const ESCAPES: readonly Escape[] = [
  // URLs: %2F, including characters of several bytes in UTF-8.
  {
    pattern:
      /%[0-7][0-9a-f]|%[cd][0-9a-f]%[89ab][0-9a-f]|%e[0-9a-f](?:%[89ab][0-9a-f]){2}|%f[0-7](?:%[89ab][0-9a-f]){3}/gi,
    decode: (escaped) => attempt(() => decodeURIComponent(escaped), escaped),
  },
  // JSON and source code: \/, \n, \u002f, \x2f, \057, a continued line.
  {
    pattern: /\\(?:u\{[0-9a-f]{1,6}\}|u[0-9a-f]{4}|x[0-9a-f]{2}|[0-7]{3}|\r\n|[\s\S])/gi,
    decode: decodeBackslash,
  },
  // HTML and XML.
  {
    pattern: /&(?:#\d{1,7}|#x[0-9a-f]{1,6}|amp|lt|gt|quot|apos|sol|equals|quest|num|colon|commat|plus|nbsp);/gi,
    decode: decodeEntity,
  },
  // Terminal colours and invisible characters.
  {
    pattern:
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are searched for.
      /\x1b\[[0-9;?]{0,32}[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]/g,
    decode: () => '',
  },
]

/**
 * `raw` itself and its readings with escapes decoded, in any order of nesting. Null when together they exceed
 * MAX_READINGS_LENGTH: then the caller must pass a shorter text.
 */
export function readingsOf(raw: string): readonly Reading[] | null {
  const from = Uint32Array.from({ length: raw.length }, (_, index) => index)
  const readings: Reading[] = [{ text: raw, from, to: from.map((index) => index + 1) }]
  const known = new Set([raw])
  let layer = readings.slice()
  let length = raw.length
  for (let depth = 0; depth < MAX_LAYERS; depth++) {
    const next: Reading[] = []
    for (const reading of layer)
      for (const kind of ESCAPES) {
        const decoded = withoutEscapes(reading, kind)
        if (decoded === null || known.has(decoded.text)) continue
        if (known.size >= MAX_READINGS) return readings
        length += decoded.text.length
        if (length > MAX_READINGS_LENGTH) return null
        known.add(decoded.text)
        next.push(decoded)
        readings.push(decoded)
      }
    layer = next
  }
  return readings
}

/**
 * Characters that wrap or indent a word, and characters that join its parts; removing them leaves less of a secret,
 * too.
 */
const JOINTS = [/[\s\\]+/g, /[\s\\"'`+,:;|]+/g]

/** A reading without the characters between the parts of a word. */
export function squeezed(reading: Reading): readonly Reading[] {
  return JOINTS.flatMap((pattern) => withoutEscapes(reading, { pattern, decode: () => '' }) ?? [])
}

/** The same for a text that is searched for. */
export function squeeze(text: string): readonly string[] {
  return JOINTS.map((pattern) => text.replace(pattern, ''))
}

/** A decoded character is never longer than its escape. */
function withoutEscapes(reading: Reading, { pattern, decode }: Escape): Reading | null {
  let from: Uint32Array | null = null
  let to: Uint32Array | null = null
  let text = ''
  let length = 0
  let end = 0
  for (const { 0: escaped, index } of reading.text.matchAll(pattern)) {
    from ??= new Uint32Array(reading.text.length)
    to ??= new Uint32Array(reading.text.length)
    text += reading.text.slice(end, index)
    for (; end < index; end++, length++) {
      from[length] = reading.from[end]!
      to[length] = reading.to[end]!
    }
    end = index + escaped.length
    const meant = decode(escaped)
    text += meant
    for (const last = length + meant.length; length < last; length++) {
      from[length] = reading.from[index]!
      to[length] = reading.to[end - 1]!
    }
  }
  if (from === null || to === null) return null
  text += reading.text.slice(end)
  for (; end < reading.text.length; end++, length++) {
    from[length] = reading.from[end]!
    to[length] = reading.to[end]!
  }
  return { text, from, to }
}

const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', '\n': '', '\r\n': '' }

function decodeBackslash(escaped: string): string {
  const body = escaped.slice(1)
  if (body.length === 1) return CONTROLS[body] ?? body
  if (body === '\r\n') return ''
  if (/^[0-7]{3}$/.test(body)) return String.fromCharCode(Number.parseInt(body, 8))
  return fromCodePoint(Number.parseInt(body.replace(/^[ux]\{?/i, ''), 16), escaped)
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  sol: '/',
  equals: '=',
  quest: '?',
  num: '#',
  colon: ':',
  commat: '@',
  plus: '+',
  nbsp: ' ',
}

function decodeEntity(escaped: string): string {
  const name = escaped.slice(1, -1).toLowerCase()
  if (name.startsWith('#x')) return fromCodePoint(Number.parseInt(name.slice(2), 16), escaped)
  if (name.startsWith('#')) return fromCodePoint(Number(name.slice(1)), escaped)
  return ENTITIES[name] ?? escaped
}

function fromCodePoint(code: number, otherwise: string): string {
  return attempt(() => String.fromCodePoint(code), otherwise)
}

function attempt(decode: () => string, otherwise: string): string {
  try {
    return decode()
  } catch {
    return otherwise
  }
}
