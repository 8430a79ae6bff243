import { type Found, type Registration, UNSAID_ENDPOINT } from './expected.ts'
import { type Changed, newJob, queueAgain, type StoredJob } from './transitions.ts'

/** How the stored record of a job changes that no delivery has announced, for every store. Pure, as transitions.ts. */

/** Somebody registers a job; null when it is known already as more than expected, and stays as it is. */
export function afterExpect(job: StoredJob | null, jobId: string, registration: Registration, now: number) {
  const { endpoint } = registration
  if (job === null) {
    const created = newJob(jobId, endpoint ?? UNSAID_ENDPOINT, now)
    // A round is a queueing: the first one begins with the delivery.
    return { ...created, round: 0, progress: { ...created.progress, state: 'expected' } } satisfies StoredJob
  }
  if (job.progress.state !== 'expected') return null
  return { ...job, endpoint: endpoint ?? job.endpoint, updatedAt: now }
}

/** Reducto says that a job ended, and no delivery has: null when it was queued before, or settled. */
export function afterMissed(job: StoredJob | null, jobId: string, found: Found, now: number): Changed | null {
  if (job === null) {
    return { job: { ...newJob(jobId, found.endpoint, now), announced: found.status }, dropsSideFiles: false }
  }
  if (job.progress.state !== 'expected') return null
  return queueAgain({ ...job, announced: found.status }, { queue: 'fetch', refetch: false }, now, now)
}
