import type { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { decode } from './decode.ts'
import { DownloadError, readDownloadError } from './error.ts'

/** Minimum rate: this many bytes per this many ms of waiting for the body, that is, 64 KiB/s over 5 minutes. */
const MIN_RATE = { bytes: 64 * 1024 * 300, ms: 300_000 } as const

/** The overhead of compression for incompressible data: less than one part in 64, and headers. */
export function maxWireBytes(maxBytes: number): number {
  return maxBytes + Math.ceil(maxBytes / 64) + 64 * 1024
}

export type BodyOptions = {
  readonly codings: readonly string[]
  readonly maxBytes: number
  readonly host: string
  readonly clock: Clock
  /** A body that nobody starts to read is dropped after this time, ms. */
  readonly idleTimeout: number
  /** Called once, when nothing more of the body will be read. */
  readonly onEnd: () => void
}

/**
 * The decoded bytes of an answer. Reading throws DownloadError. However it ends, even unread, its connection and all
 * other resources are freed.
 */
export function createBody(readable: Readable, options: BodyOptions): AsyncIterable<Uint8Array> {
  const { codings, maxBytes, host, idleTimeout } = options
  const limit = (most: number) => (source: AsyncIterable<Uint8Array>) => limited(source, most, maxBytes)
  const wireBytes = codings.length === 0 ? maxBytes : maxWireBytes(maxBytes)
  const wire = limit(wireBytes)(withMinRate(readable, options.clock))
  const decoded = limit(maxBytes)(decode(wire, codings, limit(wireBytes)))
  const chunks = notEmpty(decoded)[Symbol.asyncIterator]()

  let ended = false
  const unread = setTimeout(release, idleTimeout)
  unread.unref()

  function release(): void {
    if (ended) return
    ended = true
    clearTimeout(unread)
    readable.destroy()
    options.onEnd()
  }

  const body: AsyncIterableIterator<Uint8Array> = {
    async next() {
      clearTimeout(unread)
      try {
        const result = await chunks.next()
        if (result.done) release()
        return result
      } catch (error) {
        release()
        throw readDownloadError(error, host)
      }
    },
    async return() {
      release()
      await chunks.return?.().catch(() => {})
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => body,
  }
  return body
}

/** Ends a slow body, which would occupy its slot for hours. The reader's own time does not count. */
async function* withMinRate(body: Readable, clock: Clock): AsyncIterable<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]()
  let bytes = 0
  let waited = 0
  for (;;) {
    const since = clock.monotonic()
    const { value, done } = await chunks.next()
    if (done) return
    waited += clock.monotonic() - since
    bytes += value.byteLength
    if (waited >= MIN_RATE.ms) {
      if (bytes < MIN_RATE.bytes)
        throw new DownloadError('timeout', 'the download was slower than 64 KiB/s for 5 minutes')
      bytes = 0
      waited = 0
    }
    yield value
  }
}

/** Limits the bytes that pass through. */
async function* limited(source: AsyncIterable<Uint8Array>, most: number, maxBytes: number): AsyncIterable<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.byteLength
    if (bytes > most) throw tooLarge(maxBytes)
    yield chunk
  }
}

export function tooLarge(maxBytes: number): DownloadError {
  return new DownloadError(
    'too_large',
    `the file is larger than the ${maxBytes} bytes that MAX_RESULT_BYTES leaves for it`,
  )
}

/** No file that Reducto links to is empty. */
async function* notEmpty(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let isEmpty = true
  for await (const chunk of source) {
    if (chunk.byteLength === 0) continue
    isEmpty = false
    yield chunk
  }
  if (isEmpty) throw new DownloadError('failed', 'the storage sent an empty file')
}
