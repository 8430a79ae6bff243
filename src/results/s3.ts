import { randomBytes } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { isJobId } from '../job.ts'
import { countUntil, withSignal } from './abort.ts'
import { isResultPath, type JobRecord, MAX_RECORD_BYTES, parseRecord, RECORD } from './record.ts'
import { type DraftOptions, type Expiry, type OpenFile, type Results, ResultsUnavailable } from './results.ts'
import { createBucket, type Listed } from './s3/bucket.ts'
import { checkQuickly, checkThoroughly } from './s3/check.ts'
import type { S3Options } from './s3/client.ts'
import { createS3Draft, type S3DraftDeps } from './s3/draft.ts'
import { readAll } from './s3/read.ts'

export type { S3Options } from './s3/client.ts'

/** The maximum that SigV4 allows, s. */
const LINK_LIFETIME_S = 7 * 86_400
/** Maximum time of a check, ms, so that it does not delay the worker for longer. */
const CHECK_TIMEOUT_MS = 30_000
/** Maximum rounds of listing and deleting until nothing of a job is left. */
const MAX_REMOVAL_ROUNDS = 3

/**
 * Results as objects. There is no rename, so every draft has its own keys, and the record, which names them, is put
 * last: a reader sees the old result, the new one or none, never a mix. Objects that a dead process left are deleted
 * when their job is saved or removed; unfinished multipart uploads are left to a lifecycle rule of the bucket.
 */
export function createS3Results(s3: S3Options, { owner = randomBytes(8).toString('hex') } = {}): Results {
  /** The store has not been checked yet, or a call has failed since. */
  let isSuspect = true
  const bucket = createBucket(s3, () => {
    isSuspect = true
  })
  const root = s3.prefix === '' ? '' : `${s3.prefix}/`
  const keyOf = (jobId: string, path: string) => `${root}${jobId}/${path}`
  const drafts: S3DraftDeps = { bucket, owner, keyOf, find, listJob, conditional: true }

  async function find(jobId: string, signal: AbortSignal) {
    const found = await bucket.get(keyOf(jobId, RECORD), signal)
    if (found === null) return { exists: false, record: null, savedAt: Number.NaN }
    const isOurs = found.bytes <= MAX_RECORD_BYTES
    if (!isOurs) found.body.destroy()
    const record: JobRecord | null = isOurs ? parseRecord(await readAll(found, signal), jobId) : null
    return { exists: true, record, savedAt: found.savedAt }
  }

  /** Only keys that a result can have: others may keep objects of their own under such a prefix. */
  async function listJob(jobId: string, signal: AbortSignal): Promise<ReadonlyMap<string, Listed>> {
    const start = keyOf(jobId, '')
    const found = new Map<string, Listed>()
    for await (const objects of bucket.list(start, signal))
      for (const object of objects) {
        const path = object.key.slice(start.length)
        if (isResultPath(path)) found.set(path, object)
      }
    return found
  }

  async function open(jobId: string, path: string, signal?: AbortSignal): Promise<OpenFile | null> {
    if (!isJobId(jobId) || !isResultPath(path)) return null
    const found = await bucket.get(keyOf(jobId, path), signal)
    if (found === null) return null
    const { body, bytes } = found
    return { body: signal ? addAbortSignal(signal, body) : body, bytes }
  }

  async function draft(jobId: string, token: number, { signal, from }: DraftOptions) {
    checkJobId(jobId)
    return await withSignal(signal, () => createS3Draft(drafts, { jobId, token, signal, fromSaved: from === 'saved' }))
  }

  async function remove(jobId: string, own: AbortSignal): Promise<void> {
    // The record first: what an interrupted removal leaves is not a result.
    await bucket.deleteAll([keyOf(jobId, RECORD)], own)
    for (let round = 0; ; round++) {
      const objects = [...(await listJob(jobId, own)).values()]
      if (objects.length === 0) break
      if (round === MAX_REMOVAL_ROUNDS)
        throw new ResultsUnavailable('results', `S3: ${objects[0]!.key} was deleted and is still there`)
      await bucket.deleteAll(
        objects.map(({ key }) => key),
        own,
      )
    }
    const start = keyOf(jobId, '')
    await bucket.abortUploads(start, (key) => isResultPath(key.slice(start.length)), own)
  }

  async function expire({ before, keep }: Expiry, own: AbortSignal, count: () => void): Promise<void> {
    for await (const objects of bucket.list(root, own)) {
      for (const { key, savedAt } of objects) {
        const jobId = key.slice(root.length, -`/${RECORD}`.length)
        if (keyOf(jobId, RECORD) !== key || !isJobId(jobId) || !(savedAt < before)) continue
        if (await keep?.(jobId)) continue
        // The list may be minutes old by now, and the object may have been replaced.
        const now = await find(jobId, own)
        if (now.record === null || !(now.savedAt < before)) continue
        await remove(jobId, own)
        count()
      }
    }
  }

  async function check(own: AbortSignal): Promise<void> {
    if (!isSuspect) return await checkQuickly(bucket, root, own)
    await checkThoroughly(bucket, root, own)
    isSuspect = false
  }

  return {
    // This would need a list of the whole bucket. Drafts are deleted when their job is saved or removed.
    removeAbandonedDrafts: async () => {},
    record: (jobId, signal) =>
      withSignal(signal, async (own) => (isJobId(jobId) ? (await find(jobId, own)).record : null)),
    open,
    async link(jobId, path, now) {
      if (!isJobId(jobId) || !isResultPath(path)) return null
      return await bucket.link(keyOf(jobId, path), LINK_LIFETIME_S, new Date(now))
    },
    draft,
    async remove(jobId, signal) {
      checkJobId(jobId)
      await withSignal(signal, (own) => remove(jobId, own))
    },
    expire: (expiry) => countUntil(expiry.signal, (own, count) => expire(expiry, own, count)),
    check: (signal) =>
      withSignal(signal, check, {
        ms: CHECK_TIMEOUT_MS,
        error: () => new ResultsUnavailable('results', `S3: no answer within ${CHECK_TIMEOUT_MS / 1000} s`),
      }),
  }
}

/** Writers must have checked the id already. */
function checkJobId(jobId: string): void {
  if (!isJobId(jobId)) throw new Error('not a job id')
}
