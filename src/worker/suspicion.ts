import type { ListJobs } from '../reducto/list-jobs.ts'
import type { Probe } from './gate.ts'

/**
 * After this many distinct jobs in a row are unknown to Reducto, and none has been found since the start, suspect the API
 * key or the region, not the jobs.
 */
const UNKNOWN_IN_A_ROW = 10
/** Jobs of the account that are listed to find one of ours. */
const LISTED_JOBS = 100

/** Whether the account is the one that submits our jobs. */
export type Suspicion = {
  /** No job of ours has been found since the start. Old ones may be purged, so the newest are tried first. */
  readonly isOnTrial: boolean
  /** Reducto knew a job of ours: the account is the right one. */
  found(): void
  /** Reducto does not know this job. Returns true when the account itself is now in doubt. */
  unknown(jobId: string): boolean
  /** The number of consecutive unknown jobs. */
  readonly count: number
  /** Ends a pause when a job of ours is found; otherwise lets the newest jobs be tried. */
  readonly probe: Probe
}

export function createSuspicion(deps: {
  readonly listJobs: ListJobs
  /** Which of these jobs are ours. */
  readonly isOurs: (jobId: string) => Promise<boolean>
}): Suspicion {
  const unknown = new Set<string>()
  let foundAny = false

  /** The account is right if its list names a job of ours. Any other content of the list proves nothing. */
  async function listNamesOurs(signal: AbortSignal): Promise<boolean> {
    try {
      const { jobs } = await deps.listJobs({ limit: LISTED_JOBS }, signal)
      for (const { jobId } of jobs) if (await deps.isOurs(jobId)) return true
    } catch {
      // A failed call proves nothing either.
    }
    return false
  }

  function found(): void {
    foundAny = true
    unknown.clear()
  }

  return {
    get isOnTrial() {
      return !foundAny
    },
    get count() {
      return unknown.size
    },
    found,
    unknown(jobId) {
      if (foundAny) return false
      unknown.add(jobId)
      return unknown.size >= UNKNOWN_IN_A_ROW
    },
    async probe(signal) {
      if (!foundAny && (await listNamesOurs(signal))) found()
      return foundAny ? 'gone' : 'trial'
    },
  }
}
