import { causesOf } from '../causes.ts'
import { isA } from '../error-text.ts'
import type { JobRecord } from '../results/record.ts'
import { ResultsUnavailable } from '../results/results.ts'
import type { CleanText } from '../scrub.ts'

/**
 * Hands a saved result to the user: a port with one implementation a way. Called at least once for each round of a job,
 * and again with the same `round` and a higher `attempt` when it was not taken. When `signal` aborts it returns soon,
 * whatever it returns then counts for nothing.
 * @throws ResultsUnavailable when the store fails, which is no fault of the job or the user.
 */
export type HandOver = (job: SavedJob, signal: AbortSignal) => Promise<HandedOver>

export type SavedJob = {
  readonly record: JobRecord
  /** How often the job was queued: a person's *replay* is a round of its own. */
  readonly round: number
  /** From 1. */
  readonly attempt: number
}

/** A `Reason` in the user's or their service's words, scrubbed. */
type CleanReason = { readonly code: string; readonly message: CleanText }

export type HandedOver =
  | { readonly is: 'taken' }
  /** Not now. `after`: how long the other side asks to be left alone, ms. */
  | { readonly is: 'retry'; readonly reason: CleanReason; readonly after?: number }
  /** Trying again cannot help. */
  | { readonly is: 'refused'; readonly reason: CleanReason }

/**
 * Throws the store's failure, also where the user's code has wrapped it; nothing else.
 * @throws ResultsUnavailable
 */
export function throwIfStoreFails(error: unknown): void {
  for (const cause of causesOf(error)) if (isA(cause, ResultsUnavailable)) throw cause
}
