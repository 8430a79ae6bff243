/** How long Reducto keeps what this service has not saved yet. */

/** Reducto deletes a result about so long after its job ended, ms. The figure of its documentation; plans may differ. */
export const REDUCTO_KEEPS_MS = 12 * 3_600_000

/** So long after it ended a result may still be there, since the figure is about, ms. */
const MAY_KEEP_MS = 2 * REDUCTO_KEEPS_MS

/** When Reducto deletes the result of a job whose end was announced at this time, about, ms. */
export function purgeAt(announcedAt: number): number {
  return announcedAt + REDUCTO_KEEPS_MS
}

/** Jobs that were announced before this time (ms) have no result at Reducto any more, whatever the plan. */
export function purgedBefore(now: number): number {
  return now - MAY_KEEP_MS
}
