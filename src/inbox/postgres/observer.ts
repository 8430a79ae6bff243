/**
 * Who is dead, as one replica sees it. No two clocks are compared: another replica is dead when its beat has not moved for
 * long enough on this one's monotonic clock, during which this one has reached the database without a gap. After an outage of
 * the database everybody has time to beat before anybody judges. Pure.
 */

/** How often a replica beats and looks at the others, ms. */
export const BEAT_EVERY_MS = 2_000
/** A beat that stands still for this long is that of a dead replica, ms. */
const DEAD_AFTER_MS = 10_000
/** A replica that did not reach the database for this long has seen nothing meanwhile, ms. */
const MAX_GAP_MS = 4_000

export type Beat = { readonly id: number; readonly beat: number }

export type Observer = {
  /** The living replicas' beats, read at `at` (monotonic, ms). Returns those that are dead. */
  see(beats: readonly Beat[], at: number): readonly Beat[]
}

export function createObserver(): Observer {
  let lastLook: number | null = null
  let seen = new Map<number, { readonly beat: number; readonly movedAt: number }>()

  return {
    see(beats, at) {
      const hadGap = lastLook === null || at - lastLook > MAX_GAP_MS
      lastLook = at
      const before = seen
      seen = new Map(
        beats.map(({ id, beat }) => {
          const known = before.get(id)
          const stands = known !== undefined && known.beat === beat && !hadGap
          return [id, { beat, movedAt: stands ? known.movedAt : at }]
        }),
      )
      return beats.filter(({ id }) => at - seen.get(id)!.movedAt >= DEAD_AFTER_MS)
    },
  }
}
