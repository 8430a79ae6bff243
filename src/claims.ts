/**
 * Which of the due jobs are given out. Pure, and the same for every store.
 *
 * - Retries take half of the places at most: a new job finds a free place however many old ones hang or fail.
 * - Of jobs that are looked at for the first time, the oldest and the newest take turns: after an outage the old ones may
 *   have been purged, and must not keep fresh ones waiting until these are purged too.
 * - Endpoints take turns: whoever has one endpoint's secret cannot delay another endpoint's jobs.
 */

/** What is due of one endpoint, as far as it may be given out. The lists may overlap. */
export type DueJobs<T> = {
  /** First looks, the longest due first. */
  readonly oldest: readonly T[]
  /** First looks, the latest due first. */
  readonly newest: readonly T[]
  /** Jobs that an attempt has failed, the longest due first. */
  readonly retries: readonly T[]
}

export type Choice<T> = {
  /** By endpoint, in a fixed order. */
  readonly due: readonly DueJobs<T>[]
  /** Tries at missing side files: after all else. */
  readonly sideFiles: readonly T[]
  /** How many may be given out. */
  readonly limit: number
  /** Places of this stage in all, and how many of them retries and side files hold. */
  readonly places: number
  readonly runningRetries: number
  /** Only the newest: for a trial after which nothing old may be left. */
  readonly newestFirst: boolean
  /** Counts what was given out, so that turns go on where they ended. */
  readonly turn: number
}

type Lane = 'oldest' | 'newest' | 'retries'

/** Of four places that become free one goes to a retry. */
const LANES: readonly Lane[] = ['oldest', 'newest', 'retries', 'oldest']

/** How many places retries may hold: half, and one of one. */
export function maxRetries(places: number): number {
  return Math.max(1, Math.floor(places / 2))
}

/** The jobs to give out, at most `limit`, each once. */
export function chooseClaims<T>(choice: Choice<T>): readonly T[] {
  const { due, limit, newestFirst } = choice
  const chosen = new Set<T>()
  let retriesLeft = maxRetries(choice.places) - choice.runningRetries

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
