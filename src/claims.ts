import { ISOLATE_AFTER_CRASHES, type JobProgress, type Stage } from './job.ts'

/**
 * Chooses which due jobs are claimed. Pure, and the same for every store.
 *
 * - Retries get at most half of the slots: a new job finds a free slot, however many old ones hang or fail.
 * - Among first attempts, the oldest and the newest jobs take turns: after an outage the old ones may have been purged,
 *   and must not delay fresh ones until these are purged too.
 * - Endpoints take turns: a holder of one endpoint's secret cannot delay another endpoint's jobs.
 * - A job that has crashed twice runs alone: nothing new starts before it or beside it.
 */

/** Whether an attempt has failed, or found the job unfinished, since the job was queued. */
export function isRetry({ failures, polls }: Pick<JobProgress, 'failures' | 'polls'>): boolean {
  return failures + polls > 0
}

/** Whether a job must run alone. */
export function isIsolated({ crashes }: Pick<JobProgress, 'crashes'>): boolean {
  return crashes >= ISOLATE_AFTER_CRASHES
}

/** Missing side files are tried only if the job is not waiting for a fetch, which would download all of them again. */
export function maySideFilesRun({ state, stage }: Pick<JobProgress, 'state' | 'stage'>): boolean {
  return state === 'done' || state === 'dead' || stage === 'hand_over'
}

/** A job in the hands of a worker. */
type RunningJob = { readonly stage: Stage; readonly isRetry: boolean; readonly crashes: number }

/** The store's state when a stage claims. `Job` is the store's way to name a job. */
export type ClaimRequest<Job extends { readonly stage: Stage }> = {
  readonly stage: Stage
  /** How many jobs may be claimed, and the total slots of the stage. */
  readonly limit: number
  readonly total: number
  /** Whether the other stage may claim now; while it may not, its isolated jobs delay nothing. */
  readonly isOtherOpen: boolean
  /** An operator has paused the worker. */
  readonly isPaused: boolean
  readonly running: readonly RunningJob[]
  /** Running attempts at side files. */
  readonly sideFilesRunning: number
  /** Due jobs of both stages that must run alone, longest due first. */
  readonly isolated: readonly Job[]
}

/** Nothing, one job alone, or up to `limit` due jobs, with the retries that `runningRetries` allows. */
export type ClaimPlan<Job> =
  | { readonly is: 'nothing' }
  | { readonly is: 'alone'; readonly job: Job }
  | { readonly is: 'due'; readonly limit: number; readonly runningRetries: number }

/** Plans the claims of a stage. */
export function planClaims<Job extends { readonly stage: Stage }>(request: ClaimRequest<Job>): ClaimPlan<Job> {
  const { stage, running, sideFilesRunning } = request
  const limit = Math.min(request.limit, request.total)
  if (request.isPaused || limit <= 0 || running.some(isIsolated)) return { is: 'nothing' }
  const next = request.isolated.find((job) => request.isOtherOpen || job.stage === stage)
  if (next) {
    const isIdle = running.length + sideFilesRunning === 0
    return isIdle && next.stage === stage ? { is: 'alone', job: next } : { is: 'nothing' }
  }
  const retries = running.filter((job) => job.stage === stage && job.isRetry).length
  return { is: 'due', limit, runningRetries: retries + (stage === 'fetch' ? sideFilesRunning : 0) }
}

/**
 * Whether the end of this job concerns the claims of both stages: it ran alone, or another job waits until all others
 * have ended.
 */
export function wakesBothStages(ended: Pick<JobProgress, 'crashes'>, isIsolatedDue: () => boolean): boolean {
  return isIsolated(ended) || isIsolatedDue()
}

/** What is due of one endpoint, as far as it may be given out. The lists may overlap. */
type DueJobs<T> = {
  /** First looks, the longest due first. */
  readonly oldest: readonly T[]
  /** First attempts, latest due first. */
  readonly newest: readonly T[]
  /** Jobs with a failed attempt, longest due first. */
  readonly retries: readonly T[]
}

export type Choice<T> = {
  /** By endpoint, in a fixed order. */
  readonly due: readonly DueJobs<T>[]
  /** Attempts at missing side files: after all other jobs. */
  readonly sideFiles: readonly T[]
  /** How many may be claimed. */
  readonly limit: number
  /** Total slots of this stage, and how many of them retries and side files hold. */
  readonly slots: number
  readonly runningRetries: number
  /** Only the newest: for a trial, since old jobs may have been purged. */
  readonly newestFirst: boolean
  /** The number of jobs claimed so far, so that turns continue where they ended. */
  readonly turn: number
}

type Lane = 'oldest' | 'newest' | 'retries'

/** One of four freed slots goes to a retry. */
const LANES: readonly Lane[] = ['oldest', 'newest', 'retries', 'oldest']

/** The slots that retries may hold: half of them, and the only one if there is one. */
export function maxRetries(slots: number): number {
  return Math.max(1, Math.floor(slots / 2))
}

/** The jobs to claim, at most `limit`, each once. */
export function chooseClaims<T>(choice: Choice<T>): readonly T[] {
  const { due, limit, newestFirst } = choice
  const chosen = new Set<T>()
  let retriesLeft = maxRetries(choice.slots) - choice.runningRetries

  function nextOf(lane: Lane, turn: number): T | undefined {
    if (lane === 'retries' && retriesLeft <= 0) return undefined
    for (let index = 0; index < due.length; index++) {
      const endpoint = due[(Math.floor(turn / LANES.length) + index) % due.length]!
      const job = endpoint[lane].find((one) => !chosen.has(one))
      if (job === undefined) continue
      if (lane === 'retries') retriesLeft--
      return job
    }
    return undefined
  }

  function nextSideFiles(): T | undefined {
    const job = retriesLeft > 0 ? choice.sideFiles.find((one) => !chosen.has(one)) : undefined
    if (job !== undefined) retriesLeft--
    return job
  }

  for (let turn = choice.turn; chosen.size < limit; turn++) {
    const lane = newestFirst ? 'newest' : LANES[turn % LANES.length]!
    const job = nextOf(lane, turn) ?? nextOf('oldest', turn) ?? nextOf('retries', turn) ?? nextSideFiles()
    if (job === undefined) break
    chosen.add(job)
  }
  return [...chosen]
}
