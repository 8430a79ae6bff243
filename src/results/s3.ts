import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { stringifyExact } from '../exact-json.ts'
import { isJobId } from '../job.ts'
import { type JobRecord, parseRecord, RECORD } from './record.ts'
import { type Digest, type Draft, type Expiry, type OpenFile, type Results, ResultsUnavailable } from './results.ts'

export type S3Options = {
  readonly bucket: string
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string
  /** Null: the one that the AWS SDK finds. */
  readonly region: string | null
  /** Of a store that is not Amazon's. */
  readonly endpoint: string | null
}

/** A look at the store must not hold up the worker for longer, ms. */
const REQUEST_TIMEOUT = 60_000
const CONNECT_TIMEOUT = 10_000
/** The most that SigV4 allows, s. */
const LINK_LIFETIME = 7 * 86_400
/** Objects that one request deletes at most: S3's limit. */
const AT_ONCE = 1_000

/**
 * Results as objects. There is no rename, so every draft has keys of its own, and the record, which names them, is put
 * last: a reader sees the old result, the new one or none, never a mix. What a dead process left behind is deleted when its
 * job is saved; unfinished multipart uploads are for a lifecycle rule of the bucket.
 */
export function createS3Results({ bucket, prefix, region, endpoint }: S3Options): Results {
  const client = new S3Client({
    ...(region ? { region } : endpoint ? { region: 'us-east-1' } : {}),
    // Other stores know neither bucket names in host names nor the newest checksums.
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      throwOnRequestTimeout: true,
      // Of a body that stalls.
      socketTimeout: REQUEST_TIMEOUT,
    },
  })
  const root = prefix === '' ? '' : `${prefix}/`
  const keyOf = (jobId: string, path: string) => `${root}${jobId}/${path}`

  async function get(key: string): Promise<GetObjectCommandOutput | null> {
    try {
      return await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    } catch (error) {
      if (error instanceof NoSuchKey || statusOf(error) === 404) return null
      throw unavailable(error)
    }
  }

  /** `exists` without a record: something is there that is none. */
  async function find(jobId: string): Promise<{ exists: boolean; record: JobRecord | null }> {
    const found = await get(keyOf(jobId, RECORD))
    const text = await found?.Body?.transformToString()
    return { exists: found !== null, record: text === undefined ? null : parseRecord(text) }
  }

  async function openFile(jobId: string, path: string): Promise<OpenFile | null> {
    // What stands between the servers may make another key of such a path.
    if (path.split('/').some((step) => ['', '.', '..'].includes(step))) return null
    const found = await get(keyOf(jobId, path))
    return found ? { body: found.Body as Readable, bytes: found.ContentLength ?? 0 } : null
  }

  async function draft(jobId: string, token: number): Promise<Draft> {
    // A database that was restored counts anew: the token alone could name an older draft.
    const base = `${token}-${randomBytes(4).toString('hex')}/`
    /** The record was sent: it may have landed, or land yet, whatever we were told. Then it names these files. */
    let sent = false
    const clear = () => removeAll(keyOf(jobId, base)).catch(() => {})
    return {
      base,
      write: (path, source) => write(keyOf(jobId, path), source),
      async *read(path) {
        const file = await openFile(jobId, path)
        if (!file) throw new ResultsUnavailable('results', `S3: ${path} of ${jobId} has gone`)
        yield* file.body
      },
      async commit(record, { replace }) {
        const before = await find(jobId)
        if (before.record && !replace) {
          await clear()
          return false
        }
        sent = true
        const saved = await put(record, before.exists, base)
        if (saved)
          await removeAll(
            keyOf(jobId, ''),
            [base, RECORD].map((kept) => keyOf(jobId, kept)),
          ).catch(() => {})
        else await clear()
        return saved
      },
      discard: async () => {
        if (!sent) await clear()
      },
    }
  }

  /** Streamed in parts; a digest is made on the way. */
  async function write(key: string, source: AsyncIterable<Uint8Array>): Promise<Digest> {
    const hash = createHash('sha256')
    let bytes = 0
    let failure: { error: unknown } | null = null
    async function* digested() {
      try {
        for await (const chunk of source) {
          hash.update(chunk)
          bytes += chunk.byteLength
          yield chunk
        }
      } catch (error) {
        failure = { error }
        throw error
      }
    }
    const params = { Bucket: bucket, Key: key, Body: Readable.from(digested(), { objectMode: false }) }
    try {
      // One part at a time: many files are written side by side, and each part is in memory.
      await new Upload({ client, params, queueSize: 1 }).done()
    } catch (error) {
      throw (failure as { error: unknown } | null)?.error ?? unavailable(error)
    }
    return { bytes, sha256: hash.digest('hex') }
  }

  /** Of two that commit at once one wins: the store itself sees to it, where it knows conditions. */
  async function put(record: JobRecord, exists: boolean, base: string): Promise<boolean> {
    const object = {
      Bucket: bucket,
      Key: keyOf(record.job_id, RECORD),
      Body: `${stringifyExact(record, 2)}\n`,
      ContentType: 'application/json',
    }
    try {
      await client.send(new PutObjectCommand(exists ? object : { ...object, IfNoneMatch: '*' }))
      return true
    } catch (error) {
      // What is there may be our own, of a first try whose answer was lost.
      if (statusOf(error) === 412) return (await find(record.job_id)).record?.job.path.startsWith(base) === true
      if (statusOf(error) !== 501) throw unavailable(error)
    }
    await guarded(() => client.send(new PutObjectCommand(object)))
    return true
  }

  /** Every object whose key begins with `start`, a page at a time. */
  async function* list(start: string) {
    let token: string | undefined
    do {
      const page = await guarded(() =>
        client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: start, ContinuationToken: token, MaxKeys: AT_ONCE }),
        ),
      )
      yield page.Contents ?? []
      token = page.NextContinuationToken
    } while (token !== undefined)
  }

  async function removeAll(start: string, kept: readonly string[] = []): Promise<void> {
    for await (const objects of list(start)) {
      const keys = objects.flatMap(({ Key }) => (Key && !kept.some((one) => Key.startsWith(one)) ? { Key } : []))
      if (keys.length === 0) continue
      const answer = await guarded(() =>
        client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys, Quiet: true } })),
      )
      const failed = answer.Errors?.[0]
      if (failed) throw new ResultsUnavailable('results', `S3: ${failed.Key} could not be deleted: ${failed.Message}`)
    }
  }

  async function remove(jobId: string): Promise<void> {
    // The record first: what is left of a removal that breaks off is no result.
    await removeAll(keyOf(jobId, RECORD))
    await removeAll(keyOf(jobId, ''))
  }

  async function expire({ before, keep, signal }: Expiry): Promise<number> {
    let removed = 0
    for await (const objects of list(root)) {
      for (const { Key = '', LastModified } of objects) {
        if (signal?.aborted) return removed
        const jobId = Key.slice(root.length, -`/${RECORD}`.length)
        if (keyOf(jobId, RECORD) !== Key || !isJobId(jobId) || !LastModified) continue
        if (LastModified.getTime() >= before || (await keep?.(jobId))) continue
        // The list may be minutes old by now.
        const now = await guarded(() => client.send(new HeadObjectCommand({ Bucket: bucket, Key })))
        if (now.LastModified && now.LastModified.getTime() >= before) continue
        await remove(jobId)
        removed++
      }
    }
    return removed
  }

  async function link(jobId: string, path: string, now: number): Promise<string> {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: keyOf(jobId, path),
      ResponseContentDisposition: 'attachment',
    })
    return await getSignedUrl(client, command, { expiresIn: LINK_LIFETIME, signingDate: new Date(now) })
  }

  async function check(): Promise<void> {
    const probe = { Bucket: bucket, Key: `${root}.probe`, Body: 'a result could be saved here\n' }
    await guarded(() => client.send(new PutObjectCommand(probe)))
  }

  return {
    tidy: async () => {},
    record: async (jobId) => (await find(jobId)).record,
    open: openFile,
    link,
    draft,
    remove,
    expire,
    check,
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
}

/** Turns whatever the SDK throws into ResultsUnavailable. */
async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw unavailable(error)
  }
}

function unavailable(error: unknown): ResultsUnavailable {
  const { name, message } = error as Error
  const hint = /region is missing/i.test(message) ? ': add ?region=… to RESULTS_URL' : ''
  return error instanceof ResultsUnavailable
    ? error
    : new ResultsUnavailable('results', `S3: ${name}: ${message}${hint}`)
}
