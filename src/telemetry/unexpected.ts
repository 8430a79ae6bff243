import type { EventBus } from './events.ts'

/**
 * After this many consecutive signed deliveries that are neither job updates nor tests of Svix, Reducto's payloads may
 * have changed.
 */
const UNEXPECTED_IN_A_ROW = 3

/** Checks whether signed deliveries are still understood. Returns the problem, or null. */
export function watchPayloads(events: EventBus): () => string | null {
  let inARow = 0
  events.on('delivery', ({ outcome, unexpected }) => {
    if (unexpected || outcome === 'invalid') inARow++
    else if (outcome === 'accepted' || outcome === 'requeued') inARow = 0
  })
  return () =>
    inARow >= UNEXPECTED_IN_A_ROW
      ? `the last ${inARow} signed deliveries were not understood, although their signatures are valid: has Reducto's payload changed? They are kept; look for a newer version of this service, then read them again with "deliveries retry"`
      : null
}
