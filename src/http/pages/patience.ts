import type { Clock } from '../../clock.ts'

/** How long a list is searched for one page, ms: what it has by then is shown, with how far back it looked. */
const MAX_SEARCH_MS = 1_000

/** True for so long. */
export function patience(clock: Pick<Clock, 'monotonic'>): () => boolean {
  const end = clock.monotonic() + MAX_SEARCH_MS
  return () => clock.monotonic() < end
}
