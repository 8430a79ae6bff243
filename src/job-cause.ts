import type { CleanReason } from './job.ts'

/** Characters of a cause. */
const MAX_CAUSE = 160
/** Characters of a message that are looked at: what is behind is cut off anyway. */
const MAX_MESSAGE = 1_000

/** What differs from one job to the next, in the order in which it is replaced. */
const PARTICULAR: readonly RegExp[] = [
  // Quoted parts. One that the cut of a message has left open ends with the message; an apostrophe begins none.
  /"(?:[^"\\]|\\.)*(?:"|\\?$)/gsu,
  /“[^”]*(?:”|$)|«[^»]*(?:»|$)|`[^`]*(?:`|$)/gu,
  /(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu,
  /[^\s"'<>()]+@[^\s"'<>()]+/gu,
  // Ids and numbers: words with a digit; long ones, and hexadecimal ones, also without.
  /[\p{L}\p{N}_-]*\p{N}[\p{L}\p{N}_-]*/gu,
  /\b[\w-]{24,}/gu,
  /\b[a-f]{8,}\b/giu,
  // Times, versions, addresses and lists of numbers are one.
  /#(?:[.,:;/+-]?\s?#)+/gu,
]

/** Why a job is dead, in the words that all jobs share that died of the same: for grouping. At most 160 characters. */
export function causeOf({ code, message }: CleanReason): string {
  const shared = PARTICULAR.reduce((text, pattern) => text.replace(pattern, '#'), message.slice(0, MAX_MESSAGE))
  const cause = `${code}: ${shared.replace(/\s+/gu, ' ').trim()}`
  // A cut may go through a character of two units.
  return cause.slice(0, MAX_CAUSE).toWellFormed().trimEnd()
}
