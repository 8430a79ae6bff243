import { causesOf } from '../causes.ts'
import { isA } from '../error-text.ts'
import type { JobRecord } from '../results/record.ts'
import { ResultsUnavailable } from '../results/results.ts'
import type { CleanText } from '../telemetry/scrub.ts'

/**
 * Hands a saved result to the user: a port with one implementation per way. Called at least once for each round of a
 * job, and again with the same `round` and a higher `attempt` after a failure. When `signal` aborts it returns soon,
 * and its return value is ignored.
 * @throws ResultsUnavailable when the store fails, which is not the fault of the job or the user.
 */
export type HandOver = (job: SavedJob, signal: AbortSignal) => Promise<HandedOver>

export type SavedJob = {
  readonly record: JobRecord
  /** How often the job was queued: a person's *replay* starts a new round. */
  readonly round: number
  /** Starts at 1. */
  readonly attempt: number
}

/** A `Reason` in the user's or their service's words, scrubbed. */
type CleanReason = { readonly code: string; readonly message: CleanText }

export type HandedOver =
  | { readonly is: 'taken' }
  /** Retry later. `after`: the pause that the other side asks for, ms. */
  | { readonly is: 'retry'; readonly reason: CleanReason; readonly after?: number }
  /** A retry cannot help. */
  | { readonly is: 'refused'; readonly reason: CleanReason }

/**
 * Throws a store failure, even if the user's code has wrapped it; nothing else.
 * @throws ResultsUnavailable
 */
export function throwIfStoreFails(error: unknown): void {
  for (const cause of causesOf(error)) if (isA(cause, ResultsUnavailable)) throw cause
}
