import type { Clock } from '../../clock.ts'

/** Readings of the database's clock that are kept: the best of them counts. */
const MAX_READINGS = 30

/**
 * The one time of all replicas: the database's, as this machine's monotonic clock counts on from it. A wrong clock of this
 * machine, or one that jumps, changes nothing.
 */
export type DatabaseClock = Clock & {
  /** The database's time was `now` when an answer came that took `roundTrip`, ms. */
  read(now: number, roundTrip: number): void
}

export function createDatabaseClock(machine: Clock): DatabaseClock {
  let readings: { readonly offset: number; readonly roundTrip: number }[] = []
  let offset = machine.now() - machine.monotonic()
  return {
    now: () => Math.round(machine.monotonic() + offset),
    monotonic: machine.monotonic,
    sleep: machine.sleep,
    read(now, roundTrip) {
      readings = [...readings.slice(1 - MAX_READINGS), { offset: now + roundTrip / 2 - machine.monotonic(), roundTrip }]
      // The shorter the way, the less is unknown about when the clock was read.
      offset = readings.reduce((best, one) => (one.roundTrip < best.roundTrip ? one : best)).offset
    },
  }
}
