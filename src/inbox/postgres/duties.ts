import { hasLiveHolder } from './candidates.ts'
import type { Lane } from './lane.ts'

/**
 * Tasks that one replica at a time has: a row that names the replica, which is free when that one does not live. Whoever has
 * a duty stops before another may begin: when it is declared dead, or has not reached the database for as long as that takes.
 */
export type Duties = {
  /** See `Ledger.exclusively`. */
  run(task: string, work: (signal: AbortSignal) => Promise<void>): Promise<boolean>
  /** This replica may have been declared dead: what it does alone, it stops. */
  abort(reason: Error): void
}

const TAKE = `
  INSERT INTO duty (task, holder) VALUES ($1, $2::bigint)
  ON CONFLICT (task) DO UPDATE SET holder = excluded.holder
    WHERE duty.holder = excluded.holder OR NOT ${hasLiveHolder('duty.holder')}
  RETURNING holder`
const LEAVE = 'DELETE FROM duty WHERE task = $1 AND holder = $2'

export function createDuties(lane: Lane, replica: () => number): Duties {
  const running = new Map<string, AbortController>()

  async function run(task: string, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    if (running.has(task)) return false
    const controller = new AbortController()
    running.set(task, controller)
    try {
      const holder = replica()
      const [taken] = await lane.transaction((tx) => tx.query(TAKE, [task, holder]))
      if (!taken) return false
      try {
        await work(controller.signal)
      } finally {
        // A replica that is dead holds nothing any more.
        await lane.transaction((tx) => tx.query(LEAVE, [task, holder])).catch(() => {})
      }
      return true
    } finally {
      running.delete(task)
    }
  }

  return {
    run,
    abort(reason) {
      for (const controller of running.values()) controller.abort(reason)
    },
  }
}
