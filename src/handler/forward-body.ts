import { addAbortSignal } from 'node:stream'
import { stringifyLossless } from '../lossless-json.ts'
import { type JobRecord, metadataText } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { isJsonText } from './json-text.ts'
import type { Links } from './links.ts'

export type BodyDeps = {
  readonly results: Pick<Results, 'open' | 'link'>
  readonly links: Links
  readonly now: () => number
  readonly scrub: Scrub
}

/** An answer up to this size, in bytes, is included in the call; a larger one is fetched through its link. */
const MAX_CONTENT_BYTES = 1024 * 1024

/**
 * The record with links to its files, and the saved answer, byte for byte, unless it is large. The answer is not
 * parsed: a MiB of JSON takes up to half a second, in which no delivery is acknowledged.
 */
export async function forwardBody(record: JobRecord, deps: BodyDeps, signal: AbortSignal): Promise<string> {
  const { results, links, now, scrub } = deps
  const { job_id: jobId, job, files } = record
  const direct = await results.link(jobId, job.path, now())
  const linked = { ...job, url: direct ?? links.to(jobId, job.path, now()) }
  const content = job.bytes > MAX_CONTENT_BYTES ? null : await readContent(record, results, signal)
  const texts = new Map([
    ['job', withContent(stringifyLossless(linked), content)],
    ['metadata', metadataText(record)],
    // Reducto's reason may quote the request. No secret leaves, whatever was saved.
    ['reason', JSON.stringify(record.reason === null ? null : scrub(record.reason))],
    // Always through this service: each line of the list gets a link of its own.
    ['files', stringifyLossless({ ...files, url: links.to(jobId, files.path, now()) })],
  ])
  const members = Object.keys(record).map(
    (name) => `${JSON.stringify(name)}:${texts.get(name) ?? stringifyLossless(record[name as keyof JobRecord])}`,
  )
  return `{${members.join(',')}}`
}

function withContent(job: string, content: string | null): string {
  return content === null ? job : `${job.slice(0, -1)},"content":${content}}`
}

/** The saved answer; null when it is too large or not JSON, so that only its link is sent. */
async function readContent(
  { job_id: jobId, job }: JobRecord,
  results: Pick<Results, 'open'>,
  signal: AbortSignal,
): Promise<string | null> {
  const file = await results.open(jobId, job.path, signal)
  if (file === null) throw new Error(`the saved file ${job.path} is gone`)
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop destroys the stream and closes the file.
  for await (const chunk of addAbortSignal(signal, file.body) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_CONTENT_BYTES) return null
    chunks.push(chunk)
  }
  const text = decode(Buffer.concat(chunks))
  return text !== null && (await isJsonText(text)) ? text : null
}

/**
 * Null for data that is not UTF-8: decoding would change it. A byte order mark stays (that is what `ignoreBOM` means).
 */
function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
