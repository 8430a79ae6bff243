import { DocumentTooComplex } from './errors.ts'

/**
 * What a document may cost. Documents come from other people's servers: everything that reading one can cost is bounded
 * here, well above what Reducto makes.
 */

/** Links in one document. A large parse has tens of thousands of images. */
export const MAX_LINKS = 100_000
/** Characters of all URLs and pointers of one document: 100,000 of 0.6 KB, or 30,000 of 2 KB, as the longest signed ones. */
export const MAX_LINK_BYTES = 64 * 1024 * 1024
/** Memory that one scan may take for what it keeps until the end: links, and the containers around them. */
export const MAX_KEPT_BYTES = 192 * 1024 * 1024
/** A kept value costs about this much memory besides its text (V8's Map for a container). */
const KEPT_VALUE_BYTES = 256
/** Characters of a member's name on the way to a link. Reducto's names have fewer than 30; pointers repeat them. */
export const MAX_NAME_CHARS = 1_024
/** Nothing that Reducto makes is nested half as deep. */
export const MAX_DEPTH = 512
/** One string or number (or run of spaces) of a document. Images of some MB stand inline as base64. */
export const MAX_TOKEN_BYTES = 64 * 1024 * 1024
/** Characters of a reason that are kept: it goes into the record, logs and pages. */
export const MAX_REASON_CHARS = 10_000

/** Counts what a scan keeps. Once a bound is broken it stays broken. */
export function createBudget() {
  let links = 0
  let bytes = 0
  let broken: DocumentTooComplex | null = null
  return {
    get broken(): DocumentTooComplex | null {
      return broken
    },
    /** Breaks a bound that is not counted here. */
    break(bound: string, detail: string): void {
      broken ??= new DocumentTooComplex(bound, detail)
    },
    spend(text: number, isLink: boolean): void {
      if (broken) return
      links += Number(isLink)
      bytes += text + KEPT_VALUE_BYTES
      if (links > MAX_LINKS) broken = new DocumentTooComplex('MAX_LINKS', `more than ${MAX_LINKS} links`)
      else if (bytes > MAX_KEPT_BYTES)
        broken = new DocumentTooComplex('MAX_KEPT_BYTES', `its links take more than ${MAX_KEPT_BYTES} bytes`)
    },
  }
}
