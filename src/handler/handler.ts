/**
 * What a handler's author sees: `import { Permanent, type Handler }` from reducto-webhook-receiver. This module is the
 * package's public face; names and types in it are only ever added to.
 */
import type { Readable } from 'node:stream'
import type { JobGetResponse } from 'reductoai/resources/job'
import type { ParseResponse } from 'reductoai/resources/shared'
import type { DeepSplitPageEvidence } from 'reductoai/resources/split'
import type { FileEntry, JobRecord, SavedFile } from '../results/record.ts'

export type { DeepSplitPageEvidence, FileEntry, JobGetResponse, JobRecord, SavedFile }

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

type Saved = {
  /** What is saved, and for whom: job id, metadata, endpoint, times. */
  readonly record: JobRecord
  /** Reducto's answer, byte for byte. */
  rawJob(): Promise<Buffer>
  /** What was downloaded for which link, a line of `files.jsonl` at a time. */
  files(): AsyncIterable<FileEntry>
  /** The content of a saved file, by a `path` of `files()`. Throws when there is none. */
  open(path: string): Promise<Readable>
}

export type FailedResult = Saved & {
  readonly status: 'Failed' | 'Cancelled'
  /** Why, in Reducto's words. */
  readonly reason: string | null
}

/** Accessors throw `Permanent` when a job of this kind has no such part. */
export type CompletedResult = Saved & {
  readonly status: 'Completed'
  /**
   * The whole answer, with every result that was behind a link back in its place. It is read into memory: for what may be
   * large there is `chunks()`.
   */
  job(): Promise<JobGetResponse>
  /**
   * The extracted fields, wherever they lie: in an array, in V3's form with citations around each value, behind a link, or
   * in a pipeline. One set of fields is given as it is, several as an array (a schema of an array gets one set as an array
   * too). With a schema (zod's, or anything with `parse`), checked and typed by it: fields that do not fit throw `Permanent`.
   */
  extracted(): Promise<unknown>
  extracted<T>(schema: Schema<T>): Promise<T>
  /** The chunks of a parse, or of each parse of a pipeline, in order. However large it is, one chunk is in memory. */
  chunks(): AsyncIterable<Chunk>
  /** Where extracted values come from: for each field that has citations, its place within `extracted()`. */
  citations(): Promise<readonly FieldCitations[]>
  /** The parts that a split found. */
  splits(): Promise<readonly Split[]>
}

/** What checks a value: a zod schema, of whichever version. */
export type Schema<T> = { parse(value: unknown): T; parseAsync?(value: unknown): Promise<T> }

export type Chunk = ParseResponse.FullResult.Chunk

/** `pointer` (RFC 6901) leads to the value within what `extracted()` returns. */
export type FieldCitations = { readonly pointer: string; readonly citations: readonly Citation[] }

/** A place in the document that a value was read from. Reducto adds fields; these have always been there. */
export type Citation = {
  readonly type?: string
  readonly content?: string
  readonly bbox: ParseResponse.FullResult.Chunk.Block['bbox']
  readonly [field: string]: unknown
}

/** A part of a split document. Of a deep split, `evidence` says for each page why it belongs here. */
export type Split = {
  readonly name: string
  readonly pages: readonly number[]
  readonly conf: 'high' | 'low' | null
  readonly evidence: readonly DeepSplitPageEvidence[] | null
  readonly partitions: readonly Split[]
}
