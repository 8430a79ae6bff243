import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { untilAborted } from '../abort.ts'
import type { Digest } from '../results.ts'
import type { Call } from './client.ts'
import { integrityOf, type WithIntegrity } from './integrity.ts'

/**
 * The smallest part that S3 accepts, bytes: each part is in memory, and many files are written in parallel. All parts
 * are equal.
 */
const PART_BYTES = 5 * 1024 * 1024
/** S3's limit; it makes 48 GiB the largest file. */
const MAX_PARTS = 10_000

export type UploadDeps = {
  readonly client: S3Client
  readonly bucket: string
  readonly call: Call
  readonly withIntegrity: WithIntegrity
  put(key: string, body: Uint8Array, options: { readonly signal: AbortSignal }): Promise<void>
}

type Upload = { add(part: Uint8Array): Promise<void>; complete(): Promise<void>; abort(): Promise<void> }

export function createUpload({ client, bucket: Bucket, call, withIntegrity, put }: UploadDeps) {
  /**
   * Writes an object as a stream in parts; a small one in one request. Errors of `source` are passed on unchanged, and
   * a failed upload leaves nothing.
   */
  async function write(key: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Digest> {
    const hash = createHash('sha256')
    let bytes = 0
    async function* digested() {
      for await (const chunk of untilAborted(source, signal)) {
        hash.update(chunk)
        bytes += chunk.byteLength
        yield chunk
      }
    }
    let upload: Upload | null = null
    try {
      for await (const { part, isLast } of inParts(digested())) {
        if (upload) await upload.add(part)
        else if (isLast) await put(key, part, { signal })
        else upload = await begin(key, part, signal)
      }
      await upload?.complete()
    } catch (error) {
      if (signal.aborted) void upload?.abort()
      else await upload?.abort()
      throw error
    }
    return { bytes, sha256: hash.digest('hex') }
  }

  /** Begins with the first part: a store that refuses the integrity header receives the part again. */
  async function begin(key: string, first: Uint8Array, signal: AbortSignal): Promise<Upload> {
    return await withIntegrity(async (integrity) => {
      const checked = integrity === 'crc32' ? { ChecksumAlgorithm: 'CRC32' as const } : {}
      const at = { Bucket, Key: key }
      const { UploadId } = await call('CreateMultipartUpload', signal, (options) =>
        client.send(new CreateMultipartUploadCommand({ ...at, ...checked }), options),
      )
      const Parts: { PartNumber: number; ETag?: string; ChecksumCRC32?: string }[] = []
      const upload: Upload = {
        async add(Body) {
          const PartNumber = Parts.length + 1
          if (PartNumber > MAX_PARTS)
            throw new Error('the file is larger than 48 GiB, the maximum of S3 with parts of 5 MiB')
          const part = { ...at, UploadId, PartNumber, Body, ...integrityOf(integrity, Body) }
          const { ETag, ChecksumCRC32 } = await call('UploadPart', signal, (options) =>
            client.send(new UploadPartCommand(part), options),
          )
          Parts.push({ PartNumber, ...(ETag ? { ETag } : {}), ...(ChecksumCRC32 ? { ChecksumCRC32 } : {}) })
        },
        async complete() {
          const whole = { ...at, UploadId, MultipartUpload: { Parts } }
          await call('CompleteMultipartUpload', signal, (options) =>
            client.send(new CompleteMultipartUploadCommand(whole), options),
          )
        },
        /**
         * Not with the signal, which usually has aborted by then. What remains is left to a lifecycle rule of the
         * bucket.
         */
        async abort() {
          await call('AbortMultipartUpload', undefined, (options) =>
            client.send(new AbortMultipartUploadCommand({ ...at, UploadId }), options),
          ).catch(() => {})
        },
      }
      try {
        await upload.add(first)
        return upload
      } catch (error) {
        if (signal.aborted) void upload.abort()
        else await upload.abort()
        throw error
      }
    })
  }

  return { write, begin }
}

/** Splits into equal parts, except the last one, which is the only one when the source is small. */
async function* inParts(
  source: AsyncIterable<Uint8Array>,
): AsyncIterable<{ readonly part: Uint8Array; readonly isLast: boolean }> {
  let pieces: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    pieces.push(chunk)
    size += chunk.byteLength
    // Keeps at least one byte, so that the last part is not empty.
    while (size > PART_BYTES) {
      const all: Uint8Array = Buffer.concat(pieces, size)
      yield { part: all.subarray(0, PART_BYTES), isLast: false }
      // Copied, so that the sent buffer is not retained for its tail.
      pieces = [Buffer.from(all.subarray(PART_BYTES))]
      size -= PART_BYTES
    }
  }
  yield { part: Buffer.concat(pieces, size), isLast: true }
}
