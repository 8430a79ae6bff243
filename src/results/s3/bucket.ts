import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { createCall, createClient, type S3Options } from './client.ts'
import { createDelete } from './delete.ts'
import { S3Unavailable } from './errors.ts'
import { createWithIntegrity, integrityOf } from './integrity.ts'
import { createUpload } from './upload.ts'

/** An object, its size, and the time of its put, ms. */
export type Listed = { readonly key: string; readonly bytes: number; readonly savedAt: number }

/** Maximum objects listed per request: S3's limit. */
const LIST_PAGE = 1_000

type PutOptions = { readonly signal: AbortSignal; readonly ifAbsent?: boolean; readonly type?: string }

export type Bucket = ReturnType<typeof createBucket>

/** The calls of a bucket. Each has a timeout and a signal, and throws S3Unavailable with the store's own words. */
export function createBucket(options: S3Options, onTrouble: () => void) {
  const Bucket = options.bucket
  const client = createClient(options)
  const call = createCall(onTrouble)
  /** For calls whose failure is not a problem. */
  const quietCall = createCall(() => {})
  const withIntegrity = createWithIntegrity(options.endpoint === null)

  async function put(Key: string, Body: Uint8Array, { signal, ifAbsent, type }: PutOptions): Promise<void> {
    const condition = ifAbsent ? { IfNoneMatch: '*' } : {}
    const input = { Bucket, Key, Body, ...condition, ...(type ? { ContentType: type } : {}) }
    await withIntegrity((integrity) =>
      call('PutObject', signal, (options) =>
        client.send(new PutObjectCommand({ ...input, ...integrityOf(integrity, Body) }), options),
      ),
    )
  }

  /** An object and its size; null when there is none. The caller must read or destroy the body. */
  async function get(Key: string, signal: AbortSignal | undefined) {
    const found = await call('GetObject', signal, async (options) => {
      const answer = await client.send(new GetObjectCommand({ Bucket, Key }), options)
      if (options.abortSignal.aborted) (answer.Body as Readable).destroy()
      return answer
    }).catch(missing)
    if (found === null) return null
    const body = found.Body as Readable
    if (found.ContentLength === undefined) {
      body.destroy()
      throw new S3Unavailable(new Error('the answer does not state its length'), 'GetObject')
    }
    return { body, bytes: found.ContentLength, savedAt: found.LastModified?.getTime() ?? Number.NaN }
  }

  async function head(Key: string, signal: AbortSignal): Promise<Listed | null> {
    const found = await call('HeadObject', signal, (options) =>
      client.send(new HeadObjectCommand({ Bucket, Key }), options),
    ).catch(missing)
    return found && listed({ Key, Size: found.ContentLength, LastModified: found.LastModified })
  }

  /** Every object whose key begins with `prefix`, page by page. */
  async function* list(Prefix: string, signal: AbortSignal, MaxKeys = LIST_PAGE): AsyncGenerator<readonly Listed[]> {
    let ContinuationToken: string | undefined
    do {
      const input = { Bucket, Prefix, ContinuationToken, MaxKeys }
      const page = await call('ListObjectsV2', signal, (options) =>
        client.send(new ListObjectsV2Command(input), options),
      )
      yield (page.Contents ?? []).map(listed)
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
  }

  /** Aborts unfinished uploads below `prefix`, where the store allows it: they are not objects, but use storage. */
  async function abortUploads(Prefix: string, isOurs: (key: string) => boolean, signal: AbortSignal): Promise<void> {
    try {
      const { Uploads = [] } = await quietCall('ListMultipartUploads', signal, (options) =>
        client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }), options),
      )
      for (const { Key = '', UploadId } of Uploads)
        if (isOurs(Key))
          await quietCall('AbortMultipartUpload', signal, (options) =>
            client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options),
          )
    } catch {
      signal.throwIfAborted()
    }
  }

  /** A link to an object, valid for `expiresIn` seconds from `signingDate`. */
  async function link(Key: string, expiresIn: number, signingDate: Date): Promise<string> {
    const command = new GetObjectCommand({ Bucket, Key, ResponseContentDisposition: 'attachment' })
    return await call('GetObject', undefined, () => getSignedUrl(client, command, { expiresIn, signingDate }))
  }

  const upload = createUpload({ client, bucket: Bucket, call, withIntegrity, put })
  return { put, get, head, list, link, abortUploads, upload, deleteAll: createDelete(client, Bucket, call) }
}

type Found = { Key?: string | undefined; Size?: number | undefined; LastModified?: Date | undefined }

function listed({ Key = '', Size = 0, LastModified }: Found): Listed {
  return { key: Key, bytes: Size, savedAt: LastModified?.getTime() ?? Number.NaN }
}

function missing(error: unknown): null {
  if (error instanceof S3Unavailable && error.isMissing) return null
  throw error
}
