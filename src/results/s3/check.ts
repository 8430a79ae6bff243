import { randomBytes } from 'node:crypto'
import { ResultsUnavailable } from '../results.ts'
import type { Bucket } from './bucket.ts'
import { S3Unavailable } from './errors.ts'
import { readAll } from './read.ts'

const PROBE = Buffer.from('a result could be saved here\n')

/**
 * Performs once what a commit does: a multipart upload, a conditional put, a get, a list, a delete. Missing rights and
 * unsupported calls are found before any job is fetched.
 */
export async function checkThoroughly(bucket: Bucket, prefix: string, signal: AbortSignal): Promise<void> {
  // Unique names, so that concurrent checks do not collide.
  const folder = `${prefix}.probe-${randomBytes(8).toString('hex')}/`
  const [inParts, single] = [`${folder}parts`, `${folder}single`]
  try {
    const upload = await bucket.upload.begin(inParts, PROBE, signal)
    await upload.complete().catch(async (error) => {
      await upload.abort()
      throw error
    })
    await bucket.put(single, PROBE, { signal, ifAbsent: true }).catch(async (error) => {
      if (!(error instanceof S3Unavailable && error.isRefusal)) throw error
      // A store without conditional writes: results are saved without conditions.
      await bucket.put(single, PROBE, { signal })
    })
    const found = await bucket.get(inParts, signal)
    const text = found && (await readAll(found, signal))
    if (text !== PROBE.toString())
      throw new ResultsUnavailable('results', 'S3: an object that was just put cannot be read back')
    for await (const _ of bucket.list(folder, signal)) break
  } catch (error) {
    if (!signal.aborted) await bucket.deleteAll([inParts, single], signal).catch(() => {})
    throw error
  }
  await bucket.deleteAll([inParts, single], signal)
}

/** Whether the bucket still answers and grants access. */
export async function checkQuickly(bucket: Bucket, prefix: string, signal: AbortSignal): Promise<void> {
  for await (const _ of bucket.list(`${prefix}.probe`, signal, 1)) return
}
