import { createHash } from 'node:crypto'
import { DocumentCrashed, NotJson } from '../answer/errors.ts'
import type { Reading, ScanDocument } from '../answer/scan-thread.ts'
import type { FetchJob } from '../reducto/fetch-job.ts'
import { FINAL } from '../reducto/job-status.ts'

/**
 * Reducto's answer about a job: its bytes and what was read from them. `warning`: the bytes are not JSON, but are
 * accepted.
 */
export type JobAnswer = { readonly body: Buffer; readonly reading: Reading; readonly warning: string | null }

/** An unreadable answer that comes with the same bytes this many times is saved unread. */
const SAME_ANSWERS = 3
/** A document that has crashed its thread this many times is not read again. */
export const MAX_CRASHES = 2
/** Yields to other work between chunks while a large answer is hashed and parsed. */
const CHUNK_BYTES = 64 * 1024

/**
 * Fetches a job's answer and reads it. An answer that is not JSON is fetched again at once. It is accepted only when
 * the same bytes keep coming and they look like an object that names a final status.
 * @throws ReductoError, NotJson
 */
export async function fetchAnswer(
  jobId: string,
  deps: { readonly fetchJob: FetchJob; readonly scan: ScanDocument },
  signal: AbortSignal,
): Promise<JobAnswer> {
  let unreadable: { error: NotJson; digest: string } | null = null
  let crashes = 0
  for (let same = 1; ; same++) {
    const body = await deps.fetchJob(jobId, signal)
    try {
      return { body, reading: await read(body, deps.scan, signal), warning: null }
    } catch (error) {
      if (error instanceof DocumentCrashed && ++crashes < MAX_CRASHES) continue
      if (!(error instanceof NotJson)) throw error
      const digest = createHash('sha256').update(body).digest('hex')
      if (unreadable && unreadable.digest !== digest) throw error
      unreadable = { error, digest }
      if (same < SAME_ANSWERS) continue
      const status = statusIn(body)
      if (status === null) throw error
      return { body, reading: { ...NOTHING_READ, status }, warning: `saved as it is: ${error.message}` }
    }
  }
}

async function read(body: Buffer, scan: ScanDocument, signal: AbortSignal): Promise<Reading> {
  const scanning = scan('job')
  try {
    for await (const piece of piecesOf(body, signal)) await scanning.write(piece)
    return await scanning.end()
  } catch (error) {
    scanning.drop()
    throw error
  }
}

/** A body in chunks; other work runs between them. */
export async function* piecesOf(body: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += CHUNK_BYTES) {
    signal.throwIfAborted()
    yield body.subarray(at, at + CHUNK_BYTES)
  }
}

const NOTHING_READ: Omit<Reading, 'status'> = { reason: null, type: null, links: [], lacks: null, isJson: false }

/** The final status that the text of an object names; null when the text is not an object or is truncated. */
function statusIn(body: Buffer): string | null {
  const text = body.toString('latin1').trim()
  if (!text.replace(/^\xef\xbb\xbf/, '').startsWith('{') || !text.endsWith('}')) return null
  const status = /"status"\s*:\s*"(\w+)"/.exec(text)?.[1] ?? ''
  return FINAL.has(status) ? status : null
}
