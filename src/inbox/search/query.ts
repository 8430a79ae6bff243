import { MAX_SEARCH_LENGTH } from '../filter.ts'
import { lengthOf, wordsOf } from './words.ts'

/** From so many characters on, the last word is also found as the beginning of a word. */
const MIN_PREFIX = 3
/** Colons of one term that may end a key: each makes another reading, and a key has few. */
const MAX_COLONS = 4

/** Words that stand beside each other in one text; with `key`, in a member of that name. `isPrefix`: of the last one, its beginning. */
export type Reading = { readonly key: string | null; readonly words: readonly string[]; readonly isPrefix: boolean }

/** A part of what was asked for: one of its readings has to match. */
export type Term = readonly Reading[]

/** What was asked for: `text` as the start of an id, or all of the terms. Without terms, the id alone. */
export type SearchQuery = {
  readonly text: string
  readonly terms: readonly Term[]
  /** Blanks alone, which find nothing: somebody typed them, and did not ask for all. */
  readonly isBlank: boolean
}

/**
 * Reads what a person typed. Terms are separated by spaces, and hold together between double quotes. `key:value` asks for a
 * value below that key; since texts have colons too (`12:30`), it is also read as words. Nothing in it is an operator.
 * Null when it is longer than `MAX_SEARCH_LENGTH`: what is cut off could not be looked for, so nothing is found.
 */
export function parseQuery(q: string): SearchQuery | null {
  const text = q.trim()
  if (text.length > MAX_SEARCH_LENGTH) return null
  const parts = text.match(/(?:[^\s"]|"[^"]*"|")+/g) ?? []
  const isOpen = !text.endsWith('"')
  const terms = parts.map((part, index) => termOf(part, isOpen && index === parts.length - 1))
  return { text, terms: terms.filter((term) => term.length > 0), isBlank: text === '' && q !== '' }
}

/** Whether one of these ids begins with what was asked for. Blanks alone are no beginning; nothing at all is that of every id. */
export function startsAny({ text, isBlank }: SearchQuery, ids: readonly string[]): boolean {
  return !isBlank && ids.some((id) => id.startsWith(text))
}

function termOf(part: string, isLast: boolean): Term {
  const colons = [...part.matchAll(/:/g)].slice(0, MAX_COLONS).map(({ index }) => index)
  const readings = colons.flatMap((at) => {
    const key = keyOf(part.slice(0, at))
    return key === '' ? [] : readingOf(key, part.slice(at + 1), isLast)
  })
  return [...readingOf(null, part, isLast), ...readings]
}

function readingOf(key: string | null, text: string, isLast: boolean): Reading[] {
  const words = wordsOf(text)
  if (words.length === 0) return []
  return [{ key, words, isPrefix: isLast && lengthOf(words.at(-1)!) >= MIN_PREFIX }]
}

/** A member's name, as names are compared: `User-ID` and `user_id` are the same. */
export function keyOf(name: string): string {
  return wordsOf(name).join(' ')
}
