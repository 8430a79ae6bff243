/** A part of a text to remove, [start, end), and its replacement. */
export type Cut = { readonly start: number; readonly end: number; readonly by: '' | '[secret]' }

/**
 * Finds text that looks like a credential, whoever owns it: in URLs the query (signed links), the fragment and the user
 * info; parameters of such queries; values of names like `X-Amz-Signature` and `api_key`; Authorization headers,
 * tokens, keys. In doubt the text is removed. Every pattern is bounded, so that the time is linear in the text.
 */
export function findCredentials(text: string): Cut[] {
  return [...inUrls(text), ...PARAMETERS(text), ...named(text), ...headers(text), ...tokens(text)]
}

const WORD = /[^\s"'<>]+/g
/** Maximum characters before `://`. */
const MAX_SCHEME_CHARS = 31
const SCHEME_AT_END = /[a-z][a-z0-9+.-]{0,30}$/i
/** A query without a `=` may be a token as a whole, if it has at least this many characters. */
const MIN_TOKEN_CHARS = 8

function inUrls(text: string): Cut[] {
  const cuts: Cut[] = []
  for (const { 0: word, index } of text.matchAll(WORD)) {
    const scheme = schemeIn(word)
    let begin = scheme ? scheme.end : word.indexOf('/')
    if (begin === -1) continue
    // User info extends to the last @ of a word, whatever it contains. A file URL has none, and may have a folder with
    // such a name.
    const at = word.lastIndexOf('@')
    if (scheme && at >= begin && scheme.name !== 'file') {
      cuts.push({ start: index + begin, end: index + at + 1, by: '' })
      begin = at + 1
    }
    const query = word.slice(begin).search(scheme ? /[?#]/ : /\?/)
    if (query === -1) continue
    const end = withoutPunctuation(word, begin + query)
    if (scheme || end - begin - query > MIN_TOKEN_CHARS)
      cuts.push({ start: index + begin + query, end: index + end, by: '' })
  }
  return cuts
}

/** Searches for `://` first: a pattern that begins with letters would try each letter and all that follow. */
function schemeIn(word: string): { readonly name: string; readonly end: number } | null {
  for (let at = word.indexOf('://'); at !== -1; at = word.indexOf('://', at + 1)) {
    const name = SCHEME_AT_END.exec(word.slice(Math.max(0, at - MAX_SCHEME_CHARS), at))?.[0]
    if (name !== undefined) return { name: name.toLowerCase(), end: at + 3 }
  }
  return null
}

/** The end of a word without the punctuation, bracket or quotation mark after it. */
function withoutPunctuation(word: string, begin: number): number {
  let end = word.length
  while (end > begin && ')]}`.,;:!*|'.includes(word[end - 1]!)) end--
  return end
}

/** Also where a message contains the parts of a URL: HTTPSConnectionPool(…): /key?X-Amz-Signature=… */
const PARAMETERS = cutting(/[?&;][\w.-]{1,64}=[^\s"'<>&;)]*/g, '')

/** The separator of a name and its value. */
const SIGN = /["']?\s{0,3}([:=])\s{0,3}["']?/g
const VALUE = /[^\s"'<>,;&]+/y
const NAME_CHARACTER = /[\w.-]/
const MAX_NAME = 64
/** Names that mean a secret everywhere. */
const STRONG =
  /signature|credential|security-?token|access-?(?:key|id|token)|secret|passw(?:or)?d|passphrase|\bpwd\b|api-?key|(?:auth|refresh|id|session|csrf|sas|bot|oauth)-?token|private-?key/
/** Names that mean a secret in parameters and settings, but are ordinary words in a sentence. */
const WEAK = /(?:^|-)(?:key|token|sig|auth|jwt|pass)$/

function named(text: string): Cut[] {
  const cuts: Cut[] = []
  let end = 0
  for (const { 0: between, 1: sign, index } of text.matchAll(SIGN)) {
    // Inside the previous value.
    if (index < end) continue
    const start = index + between.length
    const name = text.slice(nameStart(text, index, end), index)
    VALUE.lastIndex = start
    const value = name === '' ? undefined : VALUE.exec(text)?.[0]
    if (value === undefined) continue
    end = start + value.length
    const plain = name.toLowerCase().replace(/[_.]/g, '-')
    const isParameter = sign === '=' || (/["']/.test(between) && plain !== 'key')
    if (!STRONG.test(plain) && !(isParameter && WEAK.test(plain))) continue
    if (value.startsWith('[secret')) continue
    const last = withoutPunctuation(text.slice(0, end), start)
    if (last > start) cuts.push({ start, end: last, by: '[secret]' })
  }
  return cuts
}

/** The start of a name that ends at `end` and begins at `least` or later; `end` itself when there is none. */
function nameStart(text: string, end: number, least: number): number {
  let start = end
  while (start > least && end - start < MAX_NAME && NAME_CHARACTER.test(text[start - 1]!)) start--
  return start
}

const HEADERS = [
  /\b(?:proxy-)?authorization["']?\s{0,3}[:=]\s{0,3}["'[]?([^\r\n"']+)/gi,
  /\b(?:set-)?cookie["']?\s{0,3}[:=]\s{0,3}["'[]?([^\r\n"']+)/gi,
  /\bbearer\s{1,3}(?!(?:tokens?|auth\w*|scheme|realm|error)\b)["']?([^\s"',;<>]+)/gi,
].map((pattern) => cutting(pattern, '[secret]'))

const BASIC = /\bbasic\s{1,3}([a-z0-9+/_-]{8,}={0,2})/gi

function headers(text: string): Cut[] {
  const basic = cutting(
    BASIC,
    '[secret]',
  )(text).filter(({ start, end }) =>
    // Not the word of a sentence, such as "basic authentication".
    /[0-9=+/]|[a-z][A-Z]/.test(text.slice(start, end)),
  )
  return [...HEADERS.flatMap((find) => find(text)), ...basic]
}

const TOKENS = [
  /whsec_[\w+/=-]+/gi,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g,
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END|$)/g,
].map((pattern) => cutting(pattern, '[secret]'))

function tokens(text: string): Cut[] {
  return TOKENS.flatMap((find) => find(text))
}

/** Cuts the pattern's first group, or the whole match if it has none. */
function cutting(pattern: RegExp, by: Cut['by']): (text: string) => Cut[] {
  return (text) =>
    [...text.matchAll(pattern)].map(({ 0: all, 1: part = all, index }) => {
      const end = index + all.length
      const start = end - part.length
      return { start, end: Math.max(withoutPunctuation(text.slice(0, end), start), start), by }
    })
}
