/** Delays: the only place that knows the ten minutes of docs/contract.md#retries. All in ms. */

/** The first pause after a failure. */
export const MIN_DELAY_MS = 1_000
/**
 * The longest pause, and the latest due time from now: 10 min. After the clock has jumped back a due time may be later.
 */
export const MAX_DELAY_MS = 600_000
/** Maximum distance between jobs that are queued together; it shrinks so that all are due within MAX_DELAY_MS. */
const SPREAD_MS = 20

/** Exponential backoff with full jitter: MIN_DELAY_MS to MAX_DELAY_MS. `random` is uniform in [0, 1). */
export function backoff(failures: number, random: () => number): number {
  const ceiling = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** Math.min(failures, 30))
  return Math.round(Math.max(MIN_DELAY_MS, ceiling * random()))
}

/**
 * The delay of the `index`th of `total` jobs that are queued together, so that new jobs are not delayed behind them.
 */
export function spread(index: number, total: number): number {
  return Math.floor(index * Math.min(SPREAD_MS, MAX_DELAY_MS / Math.max(total, 1)))
}

/** The latest valid due time: a later one was set by a clock that has jumped back since. */
export function furthestDue(now: number): number {
  return now + MAX_DELAY_MS
}
