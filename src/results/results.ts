import type { Readable } from 'node:stream'
import type { JobRecord, NewRecord, SavedFile } from './record.ts'

/**
 * Where results are kept, by job id: a port with one implementation per kind of storage. A result appears completely or
 * not at all: it is built as a draft, and is durable under the job's id once `commit` resolves, not before.
 *
 * Every method ends with its signal, whatever the storage does, and then throws the signal's reason. A text that is not
 * a job id (`isJobId`) has no result: reading finds nothing, writing fails.
 */
export interface Results {
  /**
   * Removes drafts whose claim is lost: `isAbandoned` is called for each draft found. A draft of another service, whose
   * claims are not ours, is removed only when nothing has been written to it for a day.
   */
  removeAbandonedDrafts(isAbandoned: IsAbandoned, signal: AbortSignal): Promise<void>
  /** The record of a saved result; null when there is none. */
  record(jobId: string, signal: AbortSignal): Promise<JobRecord | null>
  /**
   * A file of a saved result and its size; null when there is none at that path, or when no record can name the path
   * (`isResultPath`). The caller must read or destroy the body; it is destroyed when `signal` aborts.
   */
  open(jobId: string, path: string, signal?: AbortSignal): Promise<OpenFile | null>
  /** A link that gives anybody access to a file for 7 days; null when the store cannot make links itself. */
  link(jobId: string, path: string, now: number): Promise<string | null>
  /**
   * Creates a draft. `token` is the claim's: two workers never share a draft. With `from: 'saved'` it starts with all
   * files of the saved result except the record and `files.jsonl`, for side files that are downloaded later.
   */
  draft(jobId: string, token: number, options: DraftOptions): Promise<Draft>
  /** Removes everything that is kept of a job. Resolves when it is gone. */
  remove(jobId: string, signal: AbortSignal): Promise<void>
  /** Removes old results. Entries that cannot be read, or are not ours, are skipped. Returns the number removed. */
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
  /** Removes results saved before this time, ms. */
  readonly before: number
  /** Whether a result is still needed, whatever its age. */
  readonly keep?: (jobId: string) => Promise<boolean>
  readonly signal?: AbortSignal
}

export type OpenFile = { readonly body: Readable; readonly bytes: number }

/** A result in the making. Every method but `discard` may throw ResultsUnavailable. */
export interface Draft {
  /**
   * Writes a file as a stream, replacing one of that name; returns it as the record names it. `name` is `job.json`,
   * `files.jsonl` or `files/…`. Errors of `source` are passed on unchanged, and the previous file then stays.
   */
  write(name: string, source: AsyncIterable<Uint8Array>): Promise<WrittenFile>
  /**
   * Makes the draft the job's result. An existing result takes precedence unless `replace` is set; returns false then.
   * Fails when a written file no longer exists.
   */
  commit(record: NewRecord, options: { readonly replace: boolean }): Promise<boolean>
  /** Removes the draft, unless it may have become the result. Never throws. */
  discard(): Promise<void>
}

export type Digest = { readonly bytes: number; readonly sha256: string }

type WrittenFile = SavedFile & Digest

/** `disk`: no free space. `busy`: this process is out of descriptors, which passes. `results`: anything else. */
export type ResultsTrouble = 'disk' | 'busy' | 'results'

/** The store cannot be read or written as it should be, for a cause that is not the job's. */
export class ResultsUnavailable extends Error {
  readonly trouble: ResultsTrouble
  constructor(trouble: ResultsTrouble, message: string) {
    super(message)
    this.name = 'ResultsUnavailable'
    this.trouble = trouble
  }
}
