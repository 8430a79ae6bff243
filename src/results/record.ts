import { z } from 'zod'
import { parseExact } from '../exact-json.ts'

/**
 * The small JSON that describes a saved result. It is written last: its presence means that the result is complete as
 * described. Users' scripts read it; fields are only ever added.
 */
export type JobRecord = {
  readonly version: 1
  readonly job_id: string
  /** As Reducto reports it: `Completed`, `Failed`, `Cancelled`. */
  readonly status: string
  /** The kind of job; null when it cannot be told. */
  readonly type: 'Parse' | 'Extract' | 'Split' | 'Edit' | 'Pipeline' | 'Classify' | (string & {}) | null
  /** Why it failed; null when it did not. */
  readonly reason: string | null
  /** As it was submitted; numbers keep their digits. */
  readonly metadata: unknown
  readonly endpoint: string
  readonly endpoints: readonly string[]
  readonly svix_id: string | null
  readonly received_at: string
  readonly fetched_at: string
  /** False when a side file could not be had. */
  readonly complete: boolean
  readonly job: SavedFile
  readonly files: SavedFile & { readonly count: number; readonly failed: number }
}

/** A saved file: its path within the job's folder, its size and SHA-256 (hex). */
export type SavedFile = { readonly path: string; readonly bytes: number; readonly sha256?: string }

/** A line of `files.jsonl`: what was downloaded for the URL at `pointer` (RFC 6901) within the document `in`. */
export type FileEntry = { readonly in: string; readonly pointer: string } & (
  | { readonly path: string; readonly content_type: string | null; readonly bytes: number; readonly sha256: string }
  | { readonly error: string }
)

export const RECORD = 'record.json'
export const JOB = 'job.json'
export const FILES = 'files.jsonl'

/** What this service relies on when it reads a record back. */
const readBack = z.looseObject({
  version: z.literal(1),
  job_id: z.string(),
  status: z.string(),
  complete: z.boolean(),
  files: z.looseObject({ count: z.number(), failed: z.number() }),
})

/** Null when `text` is no record that this service can rely on: the result is then not complete. */
export function parseRecord(text: string): JobRecord | null {
  try {
    return readBack.parse(parseExact(text)) as unknown as JobRecord
  } catch {
    return null
  }
}
