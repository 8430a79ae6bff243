import type { Readable } from 'node:stream'
import type { JobRecord, NewRecord, SavedFile } from './record.ts'

/**
 * Where results are kept, by job id. A port with one implementation a kind of storage. A result appears whole or not
 * at all: it is built as a draft, and durable under the job's id when `commit` resolves, not before.
 *
 * Every method ends with its signal, whatever the storage does, and throws the signal's reason then. What is no job id
 * (`isJobId`) has no result: it is absent for those who read and an error for those who write.
 */
export interface Results {
  /**
   * Removes drafts whose claim is lost: `isAbandoned` is asked for each draft found. A draft that another service made,
   * whose claims are not ours, is removed only when nothing has been written to it for a day.
   */
  removeAbandonedDrafts(isAbandoned: IsAbandoned, signal: AbortSignal): Promise<void>
  /** The record of a saved result; null when there is none. */
  record(jobId: string, signal: AbortSignal): Promise<JobRecord | null>
  /**
   * A file of a saved result and its size; null when there is none of that path, or when it is no path that a record
   * can name (`isResultPath`). The body has to be read or destroyed; it is destroyed when `signal` aborts.
   */
  open(jobId: string, path: string, signal?: AbortSignal): Promise<OpenFile | null>
  /** A link to a file that whoever has it may follow for 7 days; null when the store itself cannot make one. */
  link(jobId: string, path: string, now: number): Promise<string | null>
  /**
   * A new draft. `token` is the claim's: two workers never share a draft. With `from: 'saved'` it begins with all files
   * of the saved result but the record and `files.jsonl`: for side files that come later.
   */
  draft(jobId: string, token: number, options: DraftOptions): Promise<Draft>
  /** Removes all that is kept of a job. Resolves when it is gone. */
  remove(jobId: string, signal: AbortSignal): Promise<void>
  /** Removes results that are old. What cannot be read, or is not ours, is left alone. Returns how many it removed. */
  expire(expiry: Expiry): Promise<number>
  /**
   * Whether results can be saved now.
   * @throws ResultsUnavailable
   */
  check(signal: AbortSignal): Promise<void>
}

export type IsAbandoned = (draft: { jobId: string; token: number }) => Promise<boolean>

export type DraftOptions = { readonly signal: AbortSignal; readonly from?: 'nothing' | 'saved' }

export type Expiry = {
  /** Results saved before this time, ms. */
  readonly before: number
  /** Those that are still needed, whatever their age. */
  readonly keep?: (jobId: string) => Promise<boolean>
  readonly signal?: AbortSignal
}

export type OpenFile = { readonly body: Readable; readonly bytes: number }

/** A result in the making. Every method but `discard` may throw ResultsUnavailable. */
export interface Draft {
  /**
   * Writes a file, streamed, in place of one of that name; returns it as the record names it. `name` is `job.json`,
   * `files.jsonl` or `files/…`. Errors of `source` are passed on as they are; what was there before then stays.
   */
  write(name: string, source: AsyncIterable<Uint8Array>): Promise<WrittenFile>
  /**
   * Makes the draft the job's result. A saved result that is there already wins, unless it is to be replaced; false
   * tells that it did. Fails when a file that was written is not there any more.
   */
  commit(record: NewRecord, options: { readonly replace: boolean }): Promise<boolean>
  /** Removes the draft, unless it may have become the result. Never throws. */
  discard(): Promise<void>
}

export type Digest = { readonly bytes: number; readonly sha256: string }

type WrittenFile = SavedFile & Digest

/** `disk`: no room. `busy`: this process is out of descriptors, which passes. `results`: anything else. */
export type ResultsTrouble = 'disk' | 'busy' | 'results'

/** The store does not take or give what it should, for a cause that is not the job's. */
export class ResultsUnavailable extends Error {
  readonly trouble: ResultsTrouble
  constructor(trouble: ResultsTrouble, message: string) {
    super(message)
    this.name = 'ResultsUnavailable'
    this.trouble = trouble
  }
}
