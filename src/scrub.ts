import { type Cut, findCredentials } from './credentials.ts'
import { MAX_LENGTH_READ_WHOLE, type Reading, readingsOf, squeezed } from './decoded-text.ts'
import { createFindSecrets, type FindSecrets, type Found } from './secret-forms.ts'

declare const clean: unique symbol

/** Text without secrets and signed links. Only a `Scrub` makes it, so that storing text that was not scrubbed does not compile. */
export type CleanText = string & { readonly [clean]: true }

/** Makes text fit to leave the process: in a log, an error, a page, a stored attempt. */
export type Scrub = (text: string, longest?: number) => CleanText

/** Longer texts are cut: an error's message can hold a whole answer. Characters. */
const MAX_CLEAN = 500
/** So much of a text is looked at, whatever is taken out of it. Characters. */
const MAX_READ = 4_000
/** What is read beyond, so that nothing is cut off in the middle of a secret: room for one whose escapes are escaped. */
const MIN_OVERLAP = 4_000
const MAX_OVERLAP = 16_000
/** The same where less is read: the beginning of a secret, whose escapes are escaped, or of a signed token. */
const SMALL_OVERLAP = 1_600
/** Raw characters for one of a secret, in the longest of the usual escapes of escapes. */
const MAX_ESCAPE = 12

/**
 * Takes out the given secrets in whatever form they were written, and what looks like anybody's credential: of every URL
 * the query, the user info and the fragment, values named like secrets, headers that sign in. Scrubbing twice changes nothing more.
 */
export function createScrub(secrets: readonly string[]): Scrub {
  const { find, findCutOff, longest: longestForm } = createFindSecrets(secrets)
  const overlap = Math.min(Math.max(MIN_OVERLAP, longestForm * MAX_ESCAPE), MAX_OVERLAP)

  return (text, longest = MAX_CLEAN) => {
    const { readings, end } = readBeginning(text, Math.max(MAX_READ, longest * 2), overlap)
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
 * The readings of the first `end` characters, and of some more behind them. Of a text with very many readings less is read,
 * and less is kept: to recognise a secret, its beginning is enough.
 */
function readBeginning(text: string, end: number, overlap: number): { readings: readonly Reading[]; end: number } {
  const readings = readingsOf(text.slice(0, end + overlap))
  if (readings) return { readings, end }
  return { readings: readingsOf(text.slice(0, MAX_LENGTH_READ_WHOLE))!, end: MAX_LENGTH_READ_WHOLE - SMALL_OVERLAP }
}

function asCuts(find: FindSecrets, text: string): Cut[] {
  return find(text).map(([start, end]: Found) => ({ start, end, by: '[secret]' }))
}

/** Cuts of a reading, where they are in the raw text. */
function inRaw({ from, to }: Reading, cuts: readonly Cut[]): Cut[] {
  return cuts
    .filter(({ start, end }) => end > start)
    .map(({ start, end, by }) => ({ start: from[start]!, end: to[end - 1]!, by }))
}

/** The first `end` characters without what is cut. Where cuts overlap, the widest one says what stands there then. */
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

/** Never ends with half a character. */
function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…` : text
}
