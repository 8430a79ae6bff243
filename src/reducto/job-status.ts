import { ReductoError } from './errors.ts'
import type { FetchJob } from './fetch-job.ts'

/**
 * The statuses after which a job no longer changes. Any other status is not final: Reducto may add intermediate ones.
 */
export const FINAL: ReadonlySet<string> = new Set(['Completed', 'Failed', 'Cancelled'])

/** How Reducto says that a job stands: `status` is as it tells it. */
type JobStatus = { readonly is: 'ended' | 'processing'; readonly status: string } | { readonly is: 'unknown' }

/** The function throws ReductoError; `unreadable` when the answer names no status. */
export type FetchStatus = (jobId: string, signal: AbortSignal) => Promise<JobStatus>

/** Asks for a job's status with `job.get`. `unknown`: Reducto has no such job under this key, or has it no more. */
export function createFetchStatus(fetchJob: FetchJob): FetchStatus {
  return async (jobId, signal) => {
    try {
      const status = statusIn(await fetchJob(jobId, signal))
      return { is: FINAL.has(status) ? 'ended' : 'processing', status }
    } catch (error) {
      if (error instanceof ReductoError && ['unknown_job', 'deleted'].includes(error.kind)) return { is: 'unknown' }
      throw error
    }
  }
}

function statusIn(body: Buffer): string {
  try {
    const { status } = JSON.parse(body.toString('utf8').replace(/^\ufeff/, '')) as { status?: unknown }
    if (typeof status === 'string' && status !== '') return status
  } catch {
    // The same as an answer without a status.
  }
  throw new ReductoError('unreadable', 'Reducto’s answer names no status')
}
