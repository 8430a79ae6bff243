/** How long things are put off: the only place that knows the ten minutes of docs/contract.md#retries. All in ms. */

/** The first pause after a failure. */
export const MIN_DELAY_MS = 1_000
/** The longest pause, and the furthest that anything is put off: 10 min. A clock that jumped back would leave it further ahead. */
export const MAX_DELAY_MS = 600_000
/** Jobs that are queued together are due this far apart, or closer, so that all are due within MAX_DELAY_MS. */
const SPREAD_MS = 20

/** Exponential backoff with full jitter: MIN_DELAY_MS to MAX_DELAY_MS. `random` is uniform in [0, 1). */
export function backoff(failures: number, random: () => number): number {
  const ceiling = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(failures, 30))
  return Math.round(Math.max(MIN_DELAY_MS, ceiling * random()))
}

/** When the `index`th of `total` jobs that are queued together is due, from now: new jobs find their place between them. */
export function spread(index: number, total: number): number {
  return Math.floor(index * Math.min(SPREAD_MS, MAX_DELAY_MS / Math.max(total, 1)))
}

/** The latest that anything may be due: what is due later was put off by a clock that has jumped back since. */
export function furthestDue(now: number): number {
  return now + MAX_DELAY_MS
}
