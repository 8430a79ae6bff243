import type { PostgresPlace } from './connect.ts'
import { createLane, type Lane } from './lane.ts'

/** A replica's connections, beside those of its beats and of its listener. */
export type Lanes = {
  /** Two that take turns: the next batch of deliveries gathers while one is being synced. */
  readonly accept: readonly [Lane, Lane]
  /** Claims and settlements. */
  readonly work: Lane
  /** Questions. A long one holds up nobody else. */
  readonly ask: Lane
  /** What operators and presence change. */
  readonly control: Lane
  /** Ends what is under way in all of them, now. */
  giveUp(): void
  close(): Promise<void>
}

/**
 * An accept is answered by then or refused, ms: a connection that hangs is replaced while the sender still waits. The server
 * ends what it was told there a second before, so that its locks are free.
 */
const ACCEPT = { answerTimeout: 8_000, statementTimeout: 7_000 }

export function createLanes(place: PostgresPlace): Lanes {
  const naming = { named: true }
  const lane = (name: string, more = {}) => createLane({ ...place, name, naming, ...more })
  const accept = [lane('accept 1', ACCEPT), lane('accept 2', ACCEPT)] as const
  const [work, ask, control] = [lane('work'), lane('ask'), lane('control')]
  const all = [...accept, work, ask, control]
  return {
    ...{ accept, work, ask, control },
    giveUp() {
      for (const one of all) one.giveUp()
    },
    async close() {
      await Promise.all(all.map((one) => one.close()))
    },
  }
}
