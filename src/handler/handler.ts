/**
 * What a handler's author sees: `import { Permanent, type Handler }` from reducto-webhook-receiver. This module is the
 * part of the package's public face; names and types in it are only ever added to.
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
 * The user's code, called with each saved result: at least once, so `result.record.job_id` is its idempotency key. What it
 * throws means try again, for HANDLER_RETRY_FOR; `Permanent` means that trying again cannot help.
 */
export type Handler = (result: Result, context: Context) => unknown

/** Narrow it by `status`: only a completed job has data. */
export type Result = CompletedResult | FailedResult

export type Context = {
  /** 1 for the first call with this result; each that fails adds one. */
  readonly attempt: number
  /** Aborts when HANDLER_TIMEOUT is over and when the service stops. What still runs then may overlap with the next call. */
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

/** Throw it when trying again cannot help: the job is dead at once, with this message, until a person queues it again. */
export class Permanent extends Error {
  override readonly name = 'Permanent'
}

/**
 * All accessors end with the context's `signal`: what is still being read then throws. When the call is over, however it
 * ended, every stream that it opened is destroyed, and no more are opened.
 * Numbers beyond 2^53 lose digits in everything that is parsed, since JavaScript's numbers cannot hold them: in `record`,
 * `job()`, `extracted()`, `chunks()`. `rawJob()` and `open()` always keep them.
 */
type Saved = {
  /** What is saved, and for whom: job id, metadata, endpoint, times. */
  readonly record: JobRecord
  /** The bytes of `job.json`, the body of Reducto's answer: at most 64 MiB. Results that were behind links are files of their own. */
  rawJob(): Promise<Buffer>
  /** What was downloaded for which link, a line of `files.jsonl` at a time. */
  files(): AsyncIterable<FileEntry>
  /** The content of a saved file, by a `path` of `files()`, as a stream. Throws when there is none. */
  open(path: string): Promise<Readable>
}

export type FailedResult = Saved & {
  readonly status: 'Failed' | 'Cancelled'
  /** Why, in Reducto's words. */
  readonly reason: string | null
}

/**
 * Accessors throw `Permanent` when a job of this kind has no such part, and when what they would read into memory is more
 * than 128 MiB in sum (sizes are looked at before anything is read), not JSON, or links that lead in a circle.
 *
 * All but `chunks()` parse on the event loop: about 10 ms for each MB, in which no webhook is answered. For what may be
 * larger than some MB there is `chunks()`, or `open()` with a parser of your own.
 */
export type CompletedResult = Saved & {
  readonly status: 'Completed'
  /**
   * The whole answer, with every result that was behind a link back in its place. It is yours: nothing else sees what you
   * change in it. A link to something that is not JSON stays a link.
   */
  job(): Promise<JobGetResponse>
  /**
   * The extracted fields, wherever they lie: in an array, in V3's form with citations around each value, behind a link, or
   * in a pipeline. One set of fields is given as it is, several as an array (a schema of an array gets one set as an array
   * too). With a schema (zod's, or anything with `parse`), checked and typed by it: fields that do not fit throw `Permanent`.
   */
  extracted(): Promise<unknown>
  extracted<T>(schema: Schema<T>): Promise<T>
  /**
   * The chunks of a parse, or of each parse of a pipeline, in order. However large the result is, one chunk is in memory,
   * and large ones are parsed on a thread.
   */
  chunks(): AsyncIterable<Chunk>
  /** Where extracted values come from: for each field that has citations, its place within `extracted()`. */
  citations(): Promise<readonly FieldCitations[]>
  /** The parts that a split found. */
  splits(): Promise<readonly Split[]>
}

/** What checks a value: a zod schema, of whichever version. */
export type Schema<T> = { parse(value: unknown): T; parseAsync?(value: unknown): Promise<T> }
