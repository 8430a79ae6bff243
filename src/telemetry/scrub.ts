import { type Cut, findCredentials } from './scrub/credentials.ts'
import { MAX_LENGTH_READ_WHOLE, type Reading, readingsOf, squeezed } from './scrub/decoded-text.ts'
import { createFindSecrets, type FindSecrets, type Found } from './scrub/secret-forms.ts'

declare const clean: unique symbol

/**
 * Text without secrets and signed links. Only a `Scrub` creates it, so that code that stores unscrubbed text does not
 * compile.
 */
export type CleanText = string & { readonly [clean]: true }

/** Makes text safe to leave the process: in a log, an error, a page, a stored attempt. */
export type Scrub = (text: string, longest?: number) => CleanText

/** Longer texts are cut, characters: an error's message can contain a whole answer. */
const MAX_CLEAN_CHARS = 500
/** Maximum characters of a text that are read, whatever is removed from it. */
const MAX_READ_CHARS = 4_000
/** Characters read beyond the end, so that no secret is cut in the middle: enough for one whose escapes are escaped. */
const MIN_OVERLAP_CHARS = 4_000
const MAX_OVERLAP = 16_000
/** The same when less is read: enough for the beginning of a secret whose escapes are escaped, or of a signed token. */
const SMALL_OVERLAP_CHARS = 1_600
/** Raw characters per character of a secret, in the longest of the usual nested escapes. */
const MAX_ESCAPE = 12

/**
 * Removes the given secrets in any encoding, and text that looks like a credential: the query, the user info and the
 * fragment of every URL, values named like secrets, authentication headers. Scrubbing twice changes nothing more.
 */
export function createScrub(secrets: readonly string[]): Scrub {
  const { find, findCutOff, longest: longestForm } = createFindSecrets(secrets)
  const overlap = Math.min(Math.max(MIN_OVERLAP_CHARS, longestForm * MAX_ESCAPE), MAX_OVERLAP)

  return (text, longest = MAX_CLEAN_CHARS) => {
    const { readings, end } = readBeginning(text, Math.max(MAX_READ_CHARS, longest * 2), overlap)
    const read = readings[0]!.text
    const isWhole = read.length === text.length
    const cuts = readings.flatMap((reading) => [
      ...inRaw(reading, findCredentials(reading.text)),
      ...inRaw(reading, asCuts(find, reading.text)),
      ...(isWhole ? inRaw(reading, asCuts(findCutOff, reading.text)) : []),
      ...squeezed(reading).flatMap((narrow) => inRaw(narrow, asCuts(find, narrow.text))),
    ])
    return shortened(without(read, cuts, end), longest) as CleanText
  }
}

/**
 * The readings of the first `end` characters, and of some more after them. If a text has very many readings, less is
 * read and less is kept: the beginning of a secret is enough to recognise it.
 */
function readBeginning(text: string, end: number, overlap: number): { readings: readonly Reading[]; end: number } {
  const readings = readingsOf(text.slice(0, end + overlap))
  if (readings) return { readings, end }
  return {
    readings: readingsOf(text.slice(0, MAX_LENGTH_READ_WHOLE))!,
    end: MAX_LENGTH_READ_WHOLE - SMALL_OVERLAP_CHARS,
  }
}

function asCuts(find: FindSecrets, text: string): Cut[] {
  return find(text).map(([start, end]: Found) => ({ start, end, by: '[secret]' }))
}

/** The cuts of a reading, converted to positions in the raw text. */
function inRaw({ from, to }: Reading, cuts: readonly Cut[]): Cut[] {
  return cuts
    .filter(({ start, end }) => end > start)
    .map(({ start, end, by }) => ({ start: from[start]!, end: to[end - 1]!, by }))
}

/** The first `end` characters without the cuts. If cuts overlap, the widest one determines the replacement. */
function without(text: string, cuts: readonly Cut[], end: number): string {
  let kept = ''
  let at = 0
  for (const { start, end: until, by } of merged(cuts)) {
    if (start >= end) break
    kept += text.slice(at, start) + by
    at = until
  }
  return kept + text.slice(at, Math.max(at, end))
}

function merged(cuts: readonly Cut[]): Cut[] {
  const groups: Cut[] = []
  let widest = 0
  for (const cut of [...cuts].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = groups.at(-1)
    const width = cut.end - cut.start
    if (!last || cut.start >= last.end) {
      groups.push(cut)
      widest = width
      continue
    }
    groups[groups.length - 1] = {
      start: last.start,
      end: Math.max(last.end, cut.end),
      by: width > widest ? cut.by : last.by,
    }
    widest = Math.max(widest, width)
  }
  return groups
}

/** Never ends within a surrogate pair. */
function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…` : text
}
