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

/** No storage applies more codings than two; a longer list is there to cost time. */
const MAX_CODINGS = 4
/** So many first bytes tell whether data is of a coding, B. */
const PREFIX_BYTES = 1024
/**
 * Data without a mark of its own is tried with so many of them: enough to find what is something else, and few, so that
 * data that is damaged further on is told as such. B.
 */
const TRIAL_BYTES = 64
/** What a trial may inflate to, B. */
const MAX_TRIAL_OUTPUT = 64 * 1024
/** RFC 9659: nothing sent over HTTP needs a larger window. It bounds the memory of a stream to 8 MiB. */
const MAX_ZSTD_WINDOW_LOG = 23

const OPTIONS = { chunkSize: 64 * 1024 } as const
const ZSTD_OPTIONS = { ...OPTIONS, params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW_LOG } }

/** Node's streams of zlib, Brotli and Zstandard. `bytesWritten`: what has been undone of what was written. */
type Decoder = Transform & { readonly bytesWritten: number }

/** What makes a decoder for a coding, chosen by the first bytes; null when they show that it was never applied. */
type Choose = (prefix: Buffer) => (() => Decoder) | null

const gunzip: Choose = (prefix) => (startsWith(prefix, [0x1f, 0x8b]) ? () => createGunzip(OPTIONS) : null)

const CODINGS: ReadonlyMap<string, Choose> = new Map<string, Choose>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  // The standard says zlib; some senders mean the bare data.
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

/** What may follow the end of its data with data of its own, where Node's decoder does not go on by itself. */
const HAS_FRAMES: ReadonlySet<string> = new Set(['zstd'])

/**
 * The codings of a Content-Encoding that have to be undone, in the order in which they were applied. What is not known
 * is no coding: storages repeat what an uploader wrote, `UTF-8` and `aws-chunked` for example.
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
 * Undoes `codings`, the last one first. Data that is not of the coding it is said to be stays as it is. Throws
 * DownloadError when it is damaged, ends too soon, or has something else behind its end. `bound` is put around what each coding gives.
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
    if (input.hasRest()) throw damaged(coding, 'something else is behind its end')
  } finally {
    await chunks.return?.()
  }
}

/** Chunks one by one, null at their end. What was taken and not used can be put back. */
type Input = {
  next(): Promise<Uint8Array | null>
  putBack(rest: Uint8Array): void
  /** Whether something was put back. */
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
 * What the decoder makes of the input, until it has enough: what it does not want is put back.
 *
 * Not `pipeline`: it takes its listeners off when a stream has ended, and an error that comes after that, or before
 * anybody reads, would end the process.
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
  // It has ended, so that nothing is waited for but putting back what it left.
  await fed
}

function damaged(coding: string, why: string, cause?: unknown): DownloadError {
  return new DownloadError('failed', `the ${coding} data of the storage is damaged or ends too soon: ${why}`, { cause })
}

/** Never rejects: what the source throws goes to whoever reads the decoder. */
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

/** Resolves when the decoder has worked on the chunk. One that has all that it wants ends instead, and leaves the rest. */
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
 * For codings whose data has no mark of its own: whether the first bytes can be decoded. Text is never data of these,
 * though a few letters of it can begin like some.
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
  // The cut may go through a character of up to four bytes.
  return [0, 1, 2, 3].some((cut) => prefix.byteLength > cut && isUtf8(prefix.subarray(0, prefix.byteLength - cut)))
}

/** RFC 1950: method 8, a window that there is, and a checksum over both bytes. */
function isZlib(prefix: Buffer): boolean {
  const [method = 0, flags = 0] = prefix
  return (method & 0x0f) === 8 && method >> 4 <= 7 && ((method << 8) | flags) % 31 === 0
}

function isZstd(prefix: Buffer): boolean {
  // A frame, or one that is to be skipped (its first nibble varies).
  const [first = 0, ...rest] = prefix.subarray(0, 4)
  return (
    startsWith(prefix, [0x28, 0xb5, 0x2f, 0xfd]) || ((first & 0xf0) === 0x50 && startsWith(rest, [0x2a, 0x4d, 0x18]))
  )
}

function startsWith(data: ArrayLike<number>, magic: readonly number[]): boolean {
  return magic.every((byte, at) => data[at] === byte)
}
