import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/** Fetches the body of the answer to `GET /job/{id}`, only its content coding undone. It begins as a JSON object does; more is not looked at. */
export type FetchJob = (jobId: string, signal: AbortSignal) => Promise<Buffer>

/** `jobId` goes into the path as it is: it must be a checked one. The function throws ReductoError. */
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
 * An answer that can be a job: from a status that comes with one, and a JSON object by its first letter. A page of a
 * proxy, `null`, and nothing at all are none.
 */
function checkObject(body: Buffer, status: number): Buffer {
  // 203: what a proxy makes of a 200.
  if (status !== 200 && status !== 203) throw unreadable(status, 'without a job')
  const start = body
    .subarray(0, 64)
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart()
  if (body.byteLength === 0) throw unreadable(status, 'with an empty body')
  if (!start.startsWith('{')) throw unreadable(status, start.startsWith('null') ? 'with null' : 'with no JSON object')
  return body
}

function unreadable(status: number, what: string): ReductoError {
  return new ReductoError('unreadable', `Reducto answered ${status} ${what}`, status)
}
