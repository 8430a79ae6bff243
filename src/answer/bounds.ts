import { DocumentTooComplex } from './errors.ts'

/**
 * Bounds on the cost of reading a document. Documents come from other people's servers, so every cost of reading one is
 * bounded here, well above what Reducto produces.
 */

/** Maximum links in one document. A large parse has tens of thousands of images. */
export const MAX_LINKS = 100_000
/**
 * Maximum characters of all URLs and pointers of one document: 100,000 of 0.6 KB, or 30,000 of 2 KB, the size of the
 * longest signed ones.
 */
export const MAX_LINK_BYTES = 64 * 1024 * 1024
/** Maximum memory for what one scan keeps until the end: links, and the containers around them. */
export const MAX_KEPT_BYTES = 192 * 1024 * 1024
/** Memory of a kept value besides its text (V8's Map for a container). */
const KEPT_VALUE_BYTES = 256
/**
 * Maximum characters of a member's name on the path to a link. Reducto's names have fewer than 30; pointers repeat
 * them.
 */
export const MAX_NAME_CHARS = 1_024
/** Maximum nesting. Reducto's documents are less than half as deep. */
export const MAX_DEPTH = 512
/**
 * Maximum length of one string, number or run of spaces. Documents may contain images of several MB as inline base64.
 */
export const MAX_TOKEN_BYTES = 64 * 1024 * 1024
/** Maximum characters of a reason that are kept: it goes into the record, logs and pages. */
export const MAX_REASON_CHARS = 10_000

/** Counts what a scan keeps. An exceeded bound stays exceeded. */
export function createBudget() {
  let links = 0
  let bytes = 0
  let broken: DocumentTooComplex | null = null
  return {
    get broken(): DocumentTooComplex | null {
      return broken
    },
    /** Marks a bound as exceeded that is not counted here. */
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
