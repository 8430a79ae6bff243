import type { ListJobs } from '../reducto/list-jobs.ts'
import type { Probe } from './gate.ts'

/**
 * After this many distinct jobs in a row are unknown to Reducto, and none has been found since the start, suspect the API
 * key or the region, not the jobs.
 */
const UNKNOWN_IN_A_ROW = 10
/** Jobs of the account that are looked at to find one of ours. */
const LISTED_JOBS = 100

/** Whether the account is the one that submits our jobs. */
export type Suspicion = {
  /** No job of ours has been found since the start: old ones may be purged, so the newest are tried first. */
  readonly isOnTrial: boolean
  /** Reducto knew a job of ours: the account is the right one. */
  found(): void
  /** Reducto does not know this job. True when the account itself is in doubt now. */
  unknown(jobId: string): boolean
  /** How many jobs in a row were unknown. */
  readonly count: number
  /** Ends a pause when a job of ours is found; else lets the newest jobs be tried. */
  readonly probe: Probe
}

export function createSuspicion(deps: {
  readonly listJobs: ListJobs
  /** Which of these jobs are ours. */
  readonly isOurs: (jobId: string) => Promise<boolean>
}): Suspicion {
  const unknown = new Set<string>()
  let foundAny = false

  /** The list tells that the account is right when it names a job of ours; whatever else it holds tells nothing. */
  async function listNamesOurs(signal: AbortSignal): Promise<boolean> {
    try {
      const { jobs } = await deps.listJobs({ limit: LISTED_JOBS }, signal)
      for (const { jobId } of jobs) if (await deps.isOurs(jobId)) return true
    } catch {
      // A call that fails tells nothing either.
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
