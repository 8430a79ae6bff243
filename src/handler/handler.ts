/**
 * The types for authors of handlers: `import { Permanent, type Handler }` from reducto-webhook-receiver. This module is
 * part of the package's public interface; names and types in it are only ever added to.
 */
import type { Readable } from 'node:stream'
import type { JobGetResponse } from 'reductoai/resources/job'
import type { Chunk, Citation, DeepSplitPageEvidence, FieldCitations, Split } from '../answer/types.ts'
import type { FileEntry, JobRecord, SavedFile } from '../results/record.ts'

export type {
  Chunk,
  Citation,
  DeepSplitPageEvidence,
  FieldCitations,
  FileEntry,
  JobGetResponse,
  JobRecord,
  SavedFile,
  Split,
}

/**
 * The user's code, called with each saved result at least once: `result.record.job_id` is its idempotency key. An error
 * that it throws causes retries for HANDLER_RETRY_FOR; `Permanent` means that a retry cannot help.
 */
export type Handler = (result: Result, context: Context) => unknown

/** Narrow it by `status`: only a completed job has data. */
export type Result = CompletedResult | FailedResult

export type Context = {
  /** 1 for the first call with this result; each failed call adds one. */
  readonly attempt: number
  /**
   * Aborts when HANDLER_TIMEOUT is exceeded and when the service stops. Code that still runs then may overlap with the
   * next call.
   */
  readonly signal: AbortSignal
  /** Writes to the service's log, with the job's id. */
  readonly log: Log
}

export type Log = {
  [Level in 'debug' | 'info' | 'warn' | 'error']: {
    (message: string): void
    (fields: Readonly<Record<string, unknown>>, message?: string): void
  }
}

/** Throw it when a retry cannot help: the job is dead at once, with this message, until a person queues it again. */
export class Permanent extends Error {
  override readonly name = 'Permanent'
}

/**
 * All accessors end with the context's `signal`: pending reads then throw. When the call has ended, however it ended,
 * every stream that it opened is destroyed, and no more are opened. Numbers beyond 2^53 lose digits in all parsed
 * values, since JavaScript's numbers cannot hold them: in `record`, `job()`, `extracted()`, `chunks()`. `rawJob()` and
 * `open()` always keep them.
 */
type Saved = {
  /** Describes the saved result: job id, metadata, endpoint, times. */
  readonly record: JobRecord
  /** The bytes of `job.json`, the body of Reducto's answer: at most 64 MiB. Results behind links are separate files. */
  rawJob(): Promise<Buffer>
  /** The downloaded file of each link, one line of `files.jsonl` at a time. */
  files(): AsyncIterable<FileEntry>
  /** Opens a saved file as a stream, by a `path` from `files()`. Throws when there is none. */
  open(path: string): Promise<Readable>
}

export type FailedResult = Saved & {
  readonly status: 'Failed' | 'Cancelled'
  /** Why the job failed, in Reducto's words. */
  readonly reason: string | null
}

/**
 * Accessors throw `Permanent` when a job of this kind has no such part, and when the documents to read are more than
 * 128 MiB in total (sizes are checked before reading), are not JSON, or link in a circle.
 *
 * All except `chunks()` parse on the event loop: about 10 ms per MB, in which no webhook is answered. For results that
 * may exceed some MB use `chunks()`, or `open()` with a parser of your own.
 */
export type CompletedResult = Saved & {
  readonly status: 'Completed'
  /**
   * The whole answer, with every linked result back in its place. You may modify it: no other accessor sees your
   * changes. A link to something that is not JSON stays a link.
   */
  job(): Promise<JobGetResponse>
  /**
   * The extracted fields, wherever they are: in an array, in V3's form with citations around each value, behind a link,
   * or in a pipeline. One set of fields is returned as an object, several as an array (a schema of an array gets one
   * set as an array too). With a schema (zod's, or anything with `parse`), the fields are checked and typed by it:
   * fields that do not fit throw `Permanent`.
   */
  extracted(): Promise<unknown>
  extracted<T>(schema: Schema<T>): Promise<T>
  /**
   * The chunks of a parse, or of each parse of a pipeline, in order. One chunk is in memory at a time, however large
   * the result is, and large results are parsed on a thread.
   */
  chunks(): AsyncIterable<Chunk>
  /** The sources of extracted values: for each field with citations, its position within `extracted()`. */
  citations(): Promise<readonly FieldCitations[]>
  /** The parts that a split found. */
  splits(): Promise<readonly Split[]>
}

/** Validates a value: a zod schema of any version. */
export type Schema<T> = { parse(value: unknown): T; parseAsync?(value: unknown): Promise<T> }
