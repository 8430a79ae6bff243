import type { PauseCause } from '../events.ts'
import type { HandedOver } from '../handler/hand-over.ts'
import type { Outcome, Reason } from '../job.ts'
import type { JobRecord } from '../results/record.ts'

/** What an attempt came to. */
export type AttemptResult = {
  readonly outcome: Outcome
  /** The record that it saved or found. */
  readonly record: JobRecord | null
  /** What holds up every job alike, so that the worker should pause or slow down. */
  readonly shared: SharedFailure | null
  /** Reducto knew the job: the key and the region are right. */
  readonly known: boolean
  readonly calls: number
  readonly files: number
  readonly bytes: number
  /** What was saved of a result that is not whole. */
  readonly partial: PartialResult | null
  /** Side files are missing that may be there later; `after`: not before so many ms. */
  readonly missingSideFiles: { readonly after: number } | null
  /** Hosts that downloads were refused for, and hosts that gave a file. */
  readonly blockedHosts: readonly string[]
  readonly reachedHosts: readonly string[]
  /** How the hand-over answered; null when it was not asked, because the saved result could not be read. */
  readonly handed: HandedOver['is'] | null
}

export type SharedFailure =
  | { readonly is: 'pause'; readonly cause: PauseCause; readonly reason: Reason }
  | { readonly is: 'slow'; readonly after: number | undefined }

/** A draft that has no result in it, but something: kept when there may be nothing better, discarded otherwise. */
export type PartialResult = {
  /** An earlier attempt's is kept already. */
  readonly isKept: boolean
  /** Saves it as a record that says why it is not the result. A result that is there already wins. */
  keep(reason: Reason): Promise<void>
  discard(): Promise<void>
}
