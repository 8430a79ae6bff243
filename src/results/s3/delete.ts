import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Call } from './client.ts'
import { S3Unavailable } from './errors.ts'

/** Maximum objects deleted per request: S3's limit. */
const DELETE_BATCH = 1_000
/** Parallel deletions of single objects. */
const MAX_PARALLEL = 8

/** Deletes many objects per request, or one by one where the store refuses that, as Google's does. */
export function createDelete(client: S3Client, bucket: string, call: Call) {
  let takesBatches = true

  async function deleteAll(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const batch = keys.slice(at, at + DELETE_BATCH)
      const left = batch.length > 1 && takesBatches ? await deleteTogether(batch, signal) : batch
      await deleteSingly(left, signal)
    }
  }

  /** Resolves to the keys that still exist. */
  async function deleteTogether(keys: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true }
    try {
      const { Errors = [] } = await call('DeleteObjects', signal, (options) =>
        client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete }), options),
      )
      return Errors.flatMap(({ Key }) => (Key === undefined ? [] : [Key]))
    } catch (error) {
      // A 404 does not mean a deleted object here: it comes from a store that does not support the call.
      const isRefused = error instanceof S3Unavailable && (error.isRefusal || error.isMissing)
      if (!isRefused) throw error
      takesBatches = false
      return keys
    }
  }

  async function deleteSingly(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const left = [...keys]
    const lane = async () => {
      for (let Key = left.pop(); Key !== undefined; Key = left.pop()) {
        const input = { Bucket: bucket, Key }
        await call('DeleteObject', signal, (options) => client.send(new DeleteObjectCommand(input), options)).catch(
          (error) => {
            if (!(error instanceof S3Unavailable && error.isMissing)) throw error
          },
        )
      }
    }
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, left.length) }, lane))
  }

  return deleteAll
}
