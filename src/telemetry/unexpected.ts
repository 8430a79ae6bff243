import type { EventBus } from '../events.ts'

/** So many signed deliveries in a row that are no job update and no test of Svix: Reducto's payloads may have changed. */
const UNEXPECTED_IN_A_ROW = 3

/** Follows whether signed deliveries are still understood. Returns what is wrong, or null. */
export function watchPayloads(events: EventBus): () => string | null {
  let inARow = 0
  events.on('delivery', ({ outcome, unexpected }) => {
    if (unexpected || outcome === 'invalid') inARow++
    else if (outcome === 'accepted' || outcome === 'requeued') inARow = 0
  })
  return () =>
    inARow >= UNEXPECTED_IN_A_ROW
      ? `the last ${inARow} signed deliveries were not understood, though their signatures are right: has the payload of Reducto changed? They are kept; look for a newer version of this service, then have them read again with "deliveries retry"`
      : null
}
