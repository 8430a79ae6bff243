import { NotJson } from '../answer/errors.ts'
import type { FoundLink, Reading, Role, ScanDocument } from '../answer/scan-thread.ts'
import { FILES, type FileEntry, JOB, type SavedFile } from '../results/record.ts'
import type { Digest, Draft } from '../results/results.ts'
import { type Download, DownloadError } from './download.ts'

/** What of a job's answer is needed to settle it. */
export type Answer = { readonly status: string | null; readonly type: string | null; readonly reason: string | null }

/** A result in its draft: everything but the record. */
export type Material = {
  readonly job: SavedFile
  readonly files: SavedFile & { readonly count: number; readonly failed: number }
  /** Bytes written in all. */
  readonly bytes: number
  /** Some of the files that failed might be had later. */
  readonly worthRetrying: boolean
}

export type MaterialiseDeps = {
  readonly download: Download
  readonly scan: ScanDocument
  readonly maxBytes: number
}

/** A link is no longer good: a fresh answer brings fresh ones. */
export class LinkExpired extends Error {}

/** The result is larger than MAX_RESULT_BYTES. */
export class ResultTooLarge extends Error {}

/** Something without which there is no result could not be had. `retry`: whether it may be had later. */
export class ResultMissing extends Error {
  readonly retry: boolean
  constructor(message: string, retry: boolean) {
    super(message)
    this.retry = retry
  }
}

/** Downloads of one job at once. */
const SIDE_BY_SIDE = 6
/** Tries at one file within an attempt, for what passes quickly. */
const TRIES = 3

const EXTENSIONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'application/json': '.json',
    'application/pdf': '.pdf',
    'application/zip': '.zip',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document': '.docx',
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': '.xlsx',
    'image/png': '.png',
    'image/jpeg': '.jpg',
    'image/webp': '.webp',
    'image/gif': '.gif',
    'image/tiff': '.tiff',
    'text/csv': '.csv',
    'text/plain': '.txt',
  }),
)

/** Reads what an answer says about its job. Throws NotJson. */
export async function readAnswer(
  body: Uint8Array,
  scan: ScanDocument,
  signal: AbortSignal,
): Promise<{ answer: Answer; reading: Reading }> {
  const reading = await read(pieces(body, signal), 'job', scan)
  if (reading.status === 'Completed' && reading.lacks !== null) throw new ResultMissing(reading.lacks, true)
  return { answer: reading, reading }
}

async function read(source: AsyncIterable<Uint8Array>, role: Role, scan: ScanDocument): Promise<Reading> {
  const document = scan(role)
  try {
    for await (const piece of source) await document.write(piece)
    return await document.end()
  } finally {
    document.drop()
  }
}

/**
 * Saves an answer and everything that it links to and that would expire, also from within downloaded results.
 *
 * With `fresh` links, one that has expired counts as missing; else LinkExpired asks for a fresh answer first.
 */
export async function materialise(
  body: Uint8Array,
  reading: Reading,
  draft: Draft,
  options: { readonly follow: boolean; readonly fresh: boolean; readonly signal: AbortSignal },
  deps: MaterialiseDeps,
): Promise<Material> {
  const entries: FileEntry[] = []
  const byUrl = new Map<string, Promise<FileEntry & { pointer: string }>>()
  const failure = new AbortController()
  const signal = AbortSignal.any([options.signal, failure.signal])
  let total = 0
  let number = 0
  let worthRetrying = false

  /** Counts a file's bytes as they come. What a failed try had brought is given back. */
  async function writeCounted(path: string, source: AsyncIterable<Uint8Array>): Promise<Digest> {
    let bytes = 0
    async function* counted(): AsyncIterable<Uint8Array> {
      for await (const chunk of source) {
        bytes += chunk.byteLength
        total += chunk.byteLength
        if (total > deps.maxBytes) throw new ResultTooLarge('the result is larger than MAX_RESULT_BYTES')
        yield chunk
      }
    }
    try {
      return await draft.write(path, counted())
    } catch (error) {
      total -= bytes
      throw error
    }
  }

  /** Follows all links of one document, the essential ones first, since links within them are only known then. */
  async function follow(document: string, places: readonly FoundLink[]): Promise<void> {
    await sideBySide(places, async (place) => {
      const earlier = byUrl.get(place.url)
      const saved = earlier ?? save(place)
      byUrl.set(place.url, saved)
      const entry = await saved
      entries.push({ ...entry, in: document, pointer: place.pointer })
      if (earlier || place.contents === null || !('path' in entry)) return
      const contents = await read(abortable(draft.read(entry.path), signal), place.contents, deps.scan).catch(
        (error) => {
          if (error instanceof NotJson) throw new ResultMissing('the downloaded result is not JSON', true)
          throw error
        },
      )
      if (contents.lacks !== null) throw new ResultMissing(contents.lacks, true)
      await follow(entry.path, contents.links)
    })
  }

  async function save(place: FoundLink): Promise<FileEntry> {
    const stem = `${draft.base}files/${++number}-${place.field}`
    const at = { in: '', pointer: '' }
    try {
      return { ...at, ...(await tryDownload(place.url, stem)) }
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error
      // What an interruption breaks off says nothing about the file.
      options.signal.throwIfAborted()
      if (error.kind === 'expired' && !options.fresh) throw new LinkExpired(error.message)
      if (place.essential)
        throw new ResultMissing(`${place.field} could not be had: ${error.message}`, error.kind !== 'refused')
      worthRetrying ||= error.kind === 'failed'
      return { ...at, error: error.message }
    }
  }

  async function tryDownload(url: string, stem: string) {
    for (let attempt = 1; ; attempt++) {
      try {
        const { contentType, body } = await deps.download(url, signal)
        const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? null
        const path = `${stem}${(type && EXTENSIONS.get(type)) ?? ''}`
        const digest = await writeCounted(path, body)
        return { path, content_type: type, ...digest }
      } catch (error) {
        const passing = error instanceof DownloadError && error.kind === 'failed'
        if (!passing || attempt === TRIES || signal.aborted) throw error
      }
    }
  }

  /** Runs `work` on all, a few at once. The very first failure, at whatever depth, ends all others and is thrown. */
  async function sideBySide<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    let next = 0
    const lane = async () => {
      while (next < items.length && !failure.signal.aborted) {
        try {
          await work(items[next++]!)
        } catch (error) {
          if (!failure.signal.aborted) failure.abort(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(SIDE_BY_SIDE, items.length) }, lane))
    failure.signal.throwIfAborted()
  }

  const [jobPath, filesPath] = [`${draft.base}${JOB}`, `${draft.base}${FILES}`]
  const job = await writeCounted(jobPath, pieces(body, signal))
  if (options.follow) await follow(jobPath, reading.links)
  const files = await writeCounted(filesPath, abortable(lines(entries), signal))
  const failed = entries.filter((entry) => 'error' in entry).length
  return {
    job: { path: jobPath, ...job },
    files: { path: filesPath, ...files, count: entries.length, failed },
    bytes: total,
    worthRetrying,
  }
}

/** So that hashing and parsing a large answer gives way to others in between. */
const PIECE = 64 * 1024

async function* pieces(body: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += PIECE) {
    signal.throwIfAborted()
    yield body.subarray(at, at + PIECE)
  }
}

async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  for await (const item of source) {
    signal.throwIfAborted()
    yield item
  }
}

async function* lines(entries: readonly FileEntry[]): AsyncIterable<Uint8Array> {
  for (const entry of entries) yield Buffer.from(`${JSON.stringify(entry)}\n`)
}
