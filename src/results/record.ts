import { z } from 'zod'
import { parseLossless, stringifyLossless } from '../lossless-json.ts'
import type { CleanText } from '../telemetry/scrub.ts'
import { lineSpan, memberSpan } from './member-span.ts'

/**
 * The small JSON that describes a saved result. It is written last: its presence means that the result is complete as
 * described. Users' scripts read it; fields are only ever added.
 */
export type JobRecord = {
  readonly version: 1
  readonly job_id: string
  /** The status that Reducto reports: `Completed`, `Failed`, `Cancelled`. */
  readonly status: string
  /** The kind of job; null when it is unknown. */
  readonly type: 'Parse' | 'Extract' | 'Split' | 'Edit' | 'Pipeline' | 'Classify' | (string & {}) | null
  /** Why the job failed; null when it did not. */
  readonly reason: string | null
  /** The metadata as submitted; numbers keep their digits. */
  readonly metadata: unknown
  readonly endpoint: string
  readonly endpoints: readonly string[]
  /** The round of the job in which it was fetched; 0 in records of versions without rounds. */
  readonly round: number
  readonly svix_id: string | null
  readonly received_at: string
  readonly fetched_at: string
  /** False when a file is missing, or was saved although it could not be read. */
  readonly complete: boolean
  /** Why the answer itself is unreliable; absent when it is reliable. */
  readonly warning?: string
  /** Why the job was given up: the saved files are only a part of its result. Absent for a complete result. */
  readonly gave_up?: { readonly code: string; readonly message: string }
  readonly job: SavedFile
  readonly files: SavedFile & { readonly count: number; readonly failed: number }
}

/** A record to be saved, in which Reducto's reason is already scrubbed. */
export type NewRecord = JobRecord & {
  readonly reason: CleanText | null
  readonly gave_up?: { readonly code: string; readonly message: CleanText }
}

/** A saved file: its path within the job's folder, its size and SHA-256 (hex). */
export type SavedFile = { readonly path: string; readonly bytes: number; readonly sha256?: string }

/**
 * A line of `files.jsonl`: what was downloaded for the URL at `pointer` (RFC 6901) within the document `in`. `warning`
 * says why a saved file is unreliable, `error` why there is none. Fields are only ever added.
 */
export type FileEntry = { readonly in: string; readonly pointer: string } & (
  | (SavedEntry & { readonly warning?: string })
  | { readonly error: string }
)

type SavedEntry = {
  readonly path: string
  readonly content_type: string | null
  readonly bytes: number
  readonly sha256: string
}

export const RECORD = 'record.json'
export const JOB = 'job.json'
export const FILES = 'files.jsonl'

/** A larger record was not written by this service: a record holds the metadata of a body of at most 1 MiB. Bytes. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024

/** A valid file name in a draft: plain characters, no leading dot, no two dots in a row. */
const NAME = /^(?:job\.json|files\.jsonl|files\/(?![.])(?!.*\.\.)[A-Za-z0-9._-]{1,200})$/
/** On S3 every draft has its own folder: the claim's token and a random part. */
const DRAFT_FOLDER = /^\d{1,16}-[0-9a-f]{8,32}\//

/** Whether a draft may have a file of this name. */
export function isDraftName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name)
}

/**
 * Whether a record, or its `files.jsonl`, may name this path: the one check of paths for every entry point of every
 * store.
 */
export function isResultPath(path: unknown): path is string {
  return typeof path === 'string' && (path === RECORD || isDraftName(path.replace(DRAFT_FOLDER, '')))
}

/** The fields that this service relies on when it reads a record back. */
const readBack = z.looseObject({
  version: z.literal(1),
  job_id: z.string(),
  status: z.string(),
  complete: z.boolean(),
  round: z.number().default(0),
  files: z.looseObject({ count: z.number(), failed: z.number() }),
})

/** Parses a record; null when `text` is not a valid record of this job, which then has no result. */
export function parseRecord(text: string, jobId: string): JobRecord | null {
  try {
    const [start, end] = lineSpan(text, 'metadata') ?? memberSpan(text, 'metadata') ?? [0, 0]
    const isLarge = end - start > MAX_PARSED_METADATA_CHARS
    const small = isLarge ? `${text.slice(0, start)}null${text.slice(end)}` : text
    const record = readBack.parse(parseLossless(small)) as unknown as JobRecord
    if (record.job_id !== jobId) return null
    return isLarge ? withLargeMetadata(record, text.slice(start, end), parseLossless) : record
  } catch {
    return null
  }
}

/**
 * Larger metadata stays text until it is read, characters. A sender may write up to a MiB of metadata, and parsing it
 * takes up to half a second, in which no delivery is acknowledged.
 */
const MAX_PARSED_METADATA_CHARS = 8 * 1024

/** The metadata of records that keep it as text. */
const largeMetadata = new WeakMap<JobRecord, string>()

/** `record` with metadata that is parsed on first access. */
function withLargeMetadata(record: JobRecord, text: string, parse: (text: string) => unknown): JobRecord {
  let parsed: { readonly value: unknown } | null = null
  const get = () => {
    parsed ??= { value: parse(text) }
    return parsed.value
  }
  Object.defineProperty(record, 'metadata', { get, enumerable: true, configurable: true })
  largeMetadata.set(record, text)
  return record
}

/** The metadata of a record as JSON text; numbers keep their digits. */
export function metadataText(record: JobRecord): string {
  return largeMetadata.get(record) ?? stringifyLossless(record.metadata ?? null)
}

/** A copy of a result's record with changes. Large metadata is not parsed. */
export function changedRecord<Changes extends Partial<JobRecord>>(
  record: JobRecord,
  changes: Changes,
): Omit<JobRecord, keyof Changes | 'gave_up'> & Changes {
  const { gave_up: _, ...members } = Object.getOwnPropertyDescriptors(record)
  const copy = Object.assign(Object.defineProperties({}, members), changes) as JobRecord & Changes
  const text = largeMetadata.get(record)
  if (text !== undefined) largeMetadata.set(copy, text)
  return copy
}

/** A copy with JavaScript's numbers, as its readers expect them. */
export function plainRecord(record: JobRecord): JobRecord {
  const text = largeMetadata.get(record)
  if (text === undefined) return JSON.parse(stringifyLossless(record)) as JobRecord
  const members = Object.entries(Object.getOwnPropertyDescriptors(record))
  const small = Object.fromEntries(members.map(([name, { value = null }]) => [name, value]))
  return withLargeMetadata(JSON.parse(stringifyLossless(small)) as JobRecord, text, JSON.parse)
}

/** The text of `record.json`: indented for people, except large metadata, which nobody reads line by line. */
export function recordText(record: JobRecord): string {
  const lines = Object.keys(record).map((name) => {
    const large = name === 'metadata' ? largeText(record) : null
    if (large !== null) return `  "metadata": ${large}`
    return stringifyLossless({ [name]: record[name as keyof JobRecord] }, 2).slice(2, -2)
  })
  return `{\n${lines.filter((line) => line !== '').join(',\n')}\n}\n`
}

/** Large metadata on one line, where `lineSpan` finds it. Null for small metadata. */
function largeText(record: JobRecord): string | null {
  const text = metadataText(record)
  return text.length > MAX_PARSED_METADATA_CHARS ? text.replace(/[\r\n]\s*/g, '') : null
}
