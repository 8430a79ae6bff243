import type { HandedOver } from '../handler/hand-over.ts'
import type { AttemptWork } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import type { JobRecord } from '../results/record.ts'
import type { PauseCause } from '../telemetry/events.ts'

/** The result of one attempt. */
export type AttemptResult = {
  readonly outcome: Outcome
  /** The record that the attempt saved or found. */
  readonly record: JobRecord | null
  /** A failure that affects every job, so that the worker should pause or slow down. */
  readonly shared: SharedFailure | null
  /** Reducto knew the job: the key and the region are right. */
  readonly known: boolean
  readonly calls: number
  readonly files: number
  readonly bytes: number
  /** How long it waited for Reducto, saved, and waited for the user's code, ms; null where it did none of that. */
  readonly times: AttemptTimes
  /** The part of an incomplete result that was saved. */
  readonly partial: PartialResult | null
  /** Side files are missing that may be available later; `after`: not before this many ms. */
  readonly missingSideFiles: { readonly after: number } | null
  /** Hosts that downloads were refused for, and hosts that served a file. */
  readonly blockedHosts: readonly string[]
  readonly reachedHosts: readonly string[]
  /** How the hand-over answered; null when it was not called, because the saved result could not be read. */
  readonly handed: HandedOver['is'] | null
}

export type AttemptTimes = Pick<AttemptWork, 'fetchMs' | 'saveMs' | 'handOverMs'>
export const NO_TIMES: AttemptTimes = { fetchMs: null, saveMs: null, handOverMs: null }

export type SharedFailure =
  | { readonly is: 'pause'; readonly cause: PauseCause; readonly reason: Reason }
  | { readonly is: 'slow'; readonly after: number | undefined }

/** A draft that holds files but no complete result. It is kept if nothing better may come, otherwise discarded. */
export type PartialResult = {
  /** An earlier attempt has already kept one. */
  readonly isKept: boolean
  /** Saves it with a record that says why it is not the result. An existing result takes precedence. */
  keep(reason: Reason): Promise<void>
  discard(): Promise<void>
}
