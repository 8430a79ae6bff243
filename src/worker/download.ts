import { pipeline, type Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { type Dispatcher, request } from 'undici'
import type { Clock } from '../clock.ts'
import { AddressRefused } from './addresses.ts'
import { freePieces, GARBAGE_EVERY } from './garbage.ts'

export type Downloaded = { readonly contentType: string | null; readonly body: AsyncIterable<Uint8Array> }

/** Opens a download. The body must be read to its end or its iterator returned. Throws DownloadError. */
export type Download = (url: string, signal: AbortSignal) => Promise<Downloaded>

export class DownloadError extends Error {
  /**
   * - `expired`: 403, 404, 410 of the storage; a fresh link may help.
   * - `refused`: the link may not be followed; nothing helps.
   * - `failed`: everything else, worth trying again.
   */
  readonly kind: 'expired' | 'refused' | 'failed'
  constructor(kind: DownloadError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DownloadError'
    this.kind = kind
  }
}

/** A body may be idle for this long, ms. */
export const IDLE_TIMEOUT = 60_000
/** And must bring so many bytes in so many ms: 64 KiB/s over 5 minutes. */
const SLOWEST = { bytes: 64 * 1024 * 300, ms: 300_000 } as const

/** An answer must begin by then, redirects included, ms. */
const ANSWER_TIMEOUT = 60_000

const EXPIRED: ReadonlySet<number> = new Set([403, 404, 410])

/**
 * Downloads over `agent`, which checks every address. No credentials go along: storage answers 400 to a signed link
 * with an Authorization header.
 */
export function createDownload(agent: Dispatcher, clock: Clock): Download {
  return async (url, signal) => {
    try {
      const { statusCode, headers, body } = await answered(url, agent, signal)
      if (statusCode < 200 || statusCode > 299) {
        drop(body)
        const kind = EXPIRED.has(statusCode) ? 'expired' : 'failed'
        throw new DownloadError(kind, `the storage answered ${statusCode}`)
      }
      return {
        contentType: single(headers['content-type']),
        body: translated(decoded(body, paced(body, clock), single(headers['content-encoding']))),
      }
    } catch (error) {
      throw readDownloadError(error)
    }
  }
}

/** Sends the request; redirects and all, an answer must begin before its deadline. */
async function answered(url: string, dispatcher: Dispatcher, signal: AbortSignal) {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ANSWER_TIMEOUT)
  try {
    const headers = { 'accept-encoding': 'identity' }
    return await request(url, { dispatcher, signal: AbortSignal.any([signal, late.signal]), headers })
  } finally {
    clearTimeout(timer)
  }
}

/** Takes no more of a body. undici tells the body itself of that, as an error. */
function drop(body: Readable): void {
  body.on('error', () => {}).destroy()
}

/** Some storages keep objects compressed and send them so whatever is asked for. */
function decoded(
  body: Readable,
  source: AsyncIterable<Uint8Array>,
  encoding: string | null,
): AsyncIterable<Uint8Array> {
  const through = (decoder: Transform) => pipeline(source, decoder, () => {})
  // `aws-chunked` speaks of how an object was uploaded; some storages repeat it.
  const codings = (encoding ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((coding) => !['', 'identity', 'aws-chunked'].includes(coding))
  if (codings.length === 0) return source
  if (codings.length === 1 && ['gzip', 'x-gzip'].includes(codings[0]!)) return through(createGunzip())
  if (codings.length === 1 && codings[0] === 'deflate') return through(createInflate())
  if (codings.length === 1 && codings[0] === 'br') return through(createBrotliDecompress())
  drop(body)
  throw new DownloadError('failed', 'the storage sent a Content-Encoding that is not known')
}

/** Ends a body that trickles (it would hold its place in the worker for hours), and keeps a fast one's garbage small. */
async function* paced(body: AsyncIterable<Uint8Array>, clock: Clock): AsyncIterable<Uint8Array> {
  let bytes = 0
  let since = clock.monotonic()
  let garbage = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    garbage += chunk.byteLength
    if (garbage >= GARBAGE_EVERY) {
      freePieces()
      garbage = 0
    }
    const ms = clock.monotonic() - since
    if (ms >= SLOWEST.ms) {
      if (bytes < SLOWEST.bytes)
        throw new DownloadError('failed', 'the download was slower than 64 KiB/s for 5 minutes')
      bytes = 0
      since = clock.monotonic()
    }
    yield chunk
  }
}

async function* translated(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    throw readDownloadError(error)
  }
}

function readDownloadError(error: unknown): DownloadError {
  if (error instanceof DownloadError) return error
  let cause: unknown = error
  while (cause instanceof Error) {
    if (cause instanceof AddressRefused) return new DownloadError('refused', cause.message)
    cause = cause.cause
  }
  const { code, message } = error as { code?: string; message: string }
  if (code === 'ERR_INVALID_URL' || code === 'UND_ERR_INVALID_ARG')
    return new DownloadError('refused', 'the link is not a URL that can be followed')
  return new DownloadError('failed', `the download broke off: ${code ?? message}`, { cause: error })
}

function single(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}
