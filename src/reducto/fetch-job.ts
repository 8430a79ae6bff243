import type { Client } from './client.ts'
import { readError } from './errors.ts'

/** Fetches the answer of `GET /job/{id}`, byte for byte. */
export type FetchJob = (jobId: string, signal: AbortSignal) => Promise<Buffer>

/** `jobId` goes into the path as it is: it must be a checked one. The function throws ReductoError. */
export function createFetchJob(client: Client, now: () => number): FetchJob {
  return async (jobId, signal) => {
    try {
      const answer = await client.sdk.job.get(jobId, { signal: client.deadline(signal) }).asResponse()
      return Buffer.from(await answer.arrayBuffer())
    } catch (error) {
      throw readError(error, now())
    }
  }
}
