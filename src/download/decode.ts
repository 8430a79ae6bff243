import { isUtf8 } from 'node:buffer'
import type { Transform } from 'node:stream'
import {
  brotliDecompressSync,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  inflateRawSync,
} from 'node:zlib'
import { explainError } from '../explain-error.ts'
import { DownloadError } from './error.ts'

/** No storage applies more than two codings; a longer list only costs time. */
const MAX_CODINGS = 4
/** Bytes at the start of the data that show whether a coding was applied. */
const PREFIX_BYTES = 1024
/**
 * Bytes with which a coding without a signature is tried: enough to recognise other data, and few, so that data damaged
 * further on is reported as damaged.
 */
const TRIAL_BYTES = 64
/** Maximum bytes that a trial may inflate to. */
const MAX_TRIAL_OUTPUT = 64 * 1024
/** RFC 9659: HTTP content never needs a larger window. It limits the memory of a stream to 8 MiB. */
const MAX_ZSTD_WINDOW_LOG = 23

const OPTIONS = { chunkSize: 64 * 1024 } as const
const ZSTD_OPTIONS = { ...OPTIONS, params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG } }

/** Node's streams of zlib, Brotli and Zstandard. `bytesWritten`: how many of the written bytes have been decoded. */
type Decoder = Transform & { readonly bytesWritten: number }

/** Chooses the decoder of a coding by the first bytes; null when they show that the coding was never applied. */
type Choose = (prefix: Buffer) => (() => Decoder) | null

const gunzip: Choose = (prefix) => (startsWith(prefix, [0x1f, 0x8b]) ? () => createGunzip(OPTIONS) : null)

const CODINGS: ReadonlyMap<string, Choose> = new Map<string, Choose>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  // The standard requires zlib; some senders use raw deflate.
  [
    'deflate',
    (prefix) => {
      if (isZlib(prefix) && !isText(prefix)) return () => createInflate(OPTIONS)
      return isDecodable(prefix, inflateRawSync) ? () => createInflateRaw(OPTIONS) : null
    },
  ],
  ['br', (prefix) => (isDecodable(prefix, brotliDecompressSync) ? () => createBrotliDecompress(OPTIONS) : null)],
  ['zstd', (prefix) => (isZstd(prefix) ? () => createZstdDecompress(ZSTD_OPTIONS) : null)],
])

/** Codings whose data may consist of several frames, where Node's decoder stops after the first. */
const HAS_FRAMES: ReadonlySet<string> = new Set(['zstd'])

/**
 * The codings of a Content-Encoding to undo, in the order in which they were applied. Unknown names are ignored:
 * storages repeat what an uploader wrote, for example `UTF-8` and `aws-chunked`.
 */
export function codingsOf(contentEncoding: string | null): readonly string[] {
  const codings = (contentEncoding ?? '')
    .toLowerCase()
    .split(/[\s,;]+/)
    .filter((coding) => CODINGS.has(coding))
  if (codings.length <= MAX_CODINGS) return codings
  throw new DownloadError('failed', `the storage names more than ${MAX_CODINGS} codings in Content-Encoding`)
}

/**
 * Undoes `codings`, the last one first. Data that is not in the declared coding stays unchanged. Throws DownloadError
 * when the data is damaged, truncated, or followed by other data. `bound` wraps the output of each coding.
 */
export function decode(
  source: AsyncIterable<Uint8Array>,
  codings: readonly string[],
  bound: (decoded: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  return codings.reduceRight((data, coding) => bound(undo(coding, data)), source)
}

async function* undo(coding: string, source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]()
  const input = createInput(chunks)
  try {
    const prefix = await readPrefix(input)
    if (prefix.byteLength === 0) return
    input.putBack(prefix)
    const createDecoder = CODINGS.get(coding)!(prefix)
    if (createDecoder === null) {
      for (let chunk = await input.next(); chunk !== null; chunk = await input.next()) yield chunk
      return
    }
    do yield* through(coding, createDecoder(), input)
    while (HAS_FRAMES.has(coding) && input.hasRest())
    if (input.hasRest()) throw damaged(coding, 'other data follows its end')
  } finally {
    await chunks.return?.()
  }
}

/** Chunks one by one, null at the end. A chunk that was read but not used can be put back. */
type Input = {
  next(): Promise<Uint8Array | null>
  putBack(rest: Uint8Array): void
  /** Whether a chunk was put back. */
  hasRest(): boolean
}

function createInput(chunks: AsyncIterator<Uint8Array>): Input {
  let rest: Uint8Array | null = null
  return {
    async next() {
      const kept = rest
      rest = null
      if (kept !== null) return kept
      const { value, done } = await chunks.next()
      return done ? null : value
    },
    putBack(chunk) {
      rest = chunk
    },
    hasRest: () => rest !== null,
  }
}

async function readPrefix(input: Input): Promise<Buffer> {
  let prefix: Buffer = Buffer.alloc(0)
  while (prefix.byteLength < PREFIX_BYTES) {
    const chunk = await input.next()
    if (chunk === null) break
    prefix = Buffer.concat([prefix, chunk])
  }
  return prefix
}

/**
 * Yields what the decoder makes of the input until the decoder has ended; unused input is put back.
 *
 * Does not use `pipeline`, which removes its listeners when a stream has ended: a later error, or one before anybody
 * reads, would exit the process.
 */
async function* through(coding: string, decoder: Decoder, input: Input): AsyncIterable<Uint8Array> {
  const state: { failure: unknown } = { failure: null }
  decoder.on('error', () => {})
  const fed = feed(decoder, input, state)
  try {
    for await (const chunk of decoder) yield chunk
  } catch (error) {
    if (state.failure !== null) throw state.failure
    throw damaged(coding, explainError(error), error)
  } finally {
    decoder.destroy()
  }
  // The decoder has ended; only putting back the rest remains.
  await fed
}

function damaged(coding: string, why: string, cause?: unknown): DownloadError {
  return new DownloadError('failed', `the ${coding} data of the storage is damaged or truncated: ${why}`, { cause })
}

/** Never rejects: errors of the source go to the reader of the decoder. */
async function feed(decoder: Decoder, input: Input, state: { failure: unknown }): Promise<void> {
  try {
    for (let chunk = await input.next(); chunk !== null; chunk = await input.next()) {
      if (decoder.destroyed) return
      const before = decoder.bytesWritten
      await written(decoder, chunk)
      const used = decoder.bytesWritten - before
      if (used < chunk.byteLength) return input.putBack(chunk.subarray(used))
    }
    decoder.end()
  } catch (error) {
    state.failure = error
    decoder.destroy(error instanceof Error ? error : new Error('the source failed'))
  }
}

/**
 * Resolves when the decoder has processed the chunk. A decoder that has all its data ends instead and leaves the rest.
 */
function written(decoder: Decoder, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      decoder.off('end', done).off('close', done)
      resolve()
    }
    decoder.on('end', done).on('close', done)
    decoder.write(chunk, done)
  })
}

type Trial = (data: Buffer, options: { finishFlush: number; maxOutputLength: number }) => Buffer

/**
 * For codings without a signature: whether the first bytes can be decoded. Text is never such data, although a few of
 * its letters can look like it.
 */
function isDecodable(prefix: Buffer, trial: Trial): boolean {
  if (isText(prefix)) return false
  const finishFlush = trial === brotliDecompressSync ? constants.BROTLI_OPERATION_FLUSH : constants.Z_SYNC_FLUSH
  try {
    trial(prefix.subarray(0, TRIAL_BYTES), { finishFlush, maxOutputLength: MAX_TRIAL_OUTPUT })
    return true
  } catch (error) {
    return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
  }
}

function isText(prefix: Buffer): boolean {
  if (prefix.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) return false
  // The prefix may end within a character of up to four bytes.
  return [0, 1, 2, 3].some((cut) => prefix.byteLength > cut && isUtf8(prefix.subarray(0, prefix.byteLength - cut)))
}

/** RFC 1950: method 8, a valid window, and a checksum over both bytes. */
function isZlib(prefix: Buffer): boolean {
  const [method = 0, flags = 0] = prefix
  return (method & 0x0f) === 8 && method >> 4 <= 7 && ((method << 8) | flags) % 31 === 0
}

function isZstd(prefix: Buffer): boolean {
  // A frame, or a skippable frame (its first nibble varies).
  const [first = 0, ...rest] = prefix.subarray(0, 4)
  return (
    startsWith(prefix, [0x28, 0xb5, 0x2f, 0xfd]) || ((first & 0xf0) === 0x50 && startsWith(rest, [0x2a, 0x4d, 0x18]))
  )
}

function startsWith(data: ArrayLike<number>, magic: readonly number[]): boolean {
  return magic.every((byte, at) => data[at] === byte)
}
