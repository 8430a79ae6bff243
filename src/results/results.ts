import type { Readable } from 'node:stream'
import type { JobRecord } from './record.ts'

/**
 * Where results are kept, by job id. A port with one implementation a kind of storage. A result appears whole or not
 * at all: it is built as a draft, and durable under the job's id when `commit` resolves, not before.
 */
export interface Results {
  /** Clears away what a dead process left half-built. For the one service that owns the store, before it works. */
  tidy(): Promise<void>
  /** The record of a complete result; null when there is none. */
  record(jobId: string): Promise<JobRecord | null>
  /** A file of a complete result and its size; null when there is none of that path. */
  open(jobId: string, path: string): Promise<OpenFile | null>
  /** A link to a file that whoever has it may follow for 7 days; null when the store itself cannot make one. */
  link(jobId: string, path: string, now: number): Promise<string | null>
  /** A new, empty draft. `token` is the claim's: two workers never share a draft. */
  draft(jobId: string, token: number): Promise<Draft>
  /** Removes a result. */
  remove(jobId: string): Promise<void>
  /** Removes results that are old. Returns how many. */
  expire(expiry: Expiry): Promise<number>
  /**
   * Whether results can be saved now.
   * @throws ResultsUnavailable
   */
  check(): Promise<void>
}

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
  /** What every path of a file begins with, as the record names it: empty, or a folder of this draft's own. */
  readonly base: string
  /** Writes a file, streamed. Errors of `source` are passed on as they are. */
  write(path: string, source: AsyncIterable<Uint8Array>): Promise<Digest>
  /** Reads a written file, in pieces that are good until the next is asked for. */
  read(path: string): AsyncIterable<Uint8Array>
  /**
   * Makes the draft the job's result. A complete result that is there already wins, unless it is to be replaced; false
   * tells that it did.
   */
  commit(record: JobRecord, options: { readonly replace: boolean }): Promise<boolean>
  discard(): Promise<void>
}

export type Digest = { readonly bytes: number; readonly sha256: string }

/** The store does not take what is written, for a cause that is not the job's. */
export class ResultsUnavailable extends Error {
  /** `disk`: no room. `results`: anything else (rights, hardware, network). */
  readonly trouble: 'disk' | 'results'
  constructor(trouble: 'disk' | 'results', message: string) {
    super(message)
    this.name = 'ResultsUnavailable'
    this.trouble = trouble
  }
}
