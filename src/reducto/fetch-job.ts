import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/**
 * Fetches the body of the answer to `GET /job/{id}` and undoes only its content coding. Checks only that it begins like
 * a JSON object.
 */
export type FetchJob = (jobId: string, signal: AbortSignal) => Promise<Buffer>

/** `jobId` is inserted into the path unescaped: it must be a checked id. The function throws ReductoError. */
export function createFetchJob(client: Client, now: () => number): FetchJob {
  return async (jobId, signal) => {
    try {
      return await client.call(signal, async (callSignal) => {
        const response = await client.sdk.job.get(jobId, { signal: callSignal }).asResponse()
        return checkObject(Buffer.from(await response.arrayBuffer()), response.status)
      })
    } catch (error) {
      throw readError(error, now())
    }
  }
}

/**
 * An answer that can be a job: it has a status that allows one and begins like a JSON object. A proxy's page, `null`
 * and an empty body are refused.
 */
function checkObject(body: Buffer, status: number): Buffer {
  // 203: a proxy's version of a 200.
  if (status !== 200 && status !== 203) throw unreadable(status, 'without a job')
  const start = body
    .subarray(0, 64)
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart()
  if (body.byteLength === 0) throw unreadable(status, 'with an empty body')
  if (!start.startsWith('{')) throw unreadable(status, start.startsWith('null') ? 'with null' : 'without a JSON object')
  return body
}

function unreadable(status: number, what: string): ReductoError {
  return new ReductoError('unreadable', `Reducto answered ${status} ${what}`, status)
}
