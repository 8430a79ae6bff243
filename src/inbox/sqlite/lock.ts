import { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../clock.ts'

/** How long a service waits for the one before it to end, ms. */
export const LOCK_PATIENCE = 60_000
/** How often it looks, ms. */
const LOOK_EVERY = 100

/** Another service holds the database. */
export class InboxLocked extends Error {
  constructor(path: string) {
    super(`${path} is in use by another running service; stop that one, or give this one another DATABASE_URL`)
    this.name = 'InboxLocked'
  }
}

/**
 * Makes this process the only service on the database, until it ends, however it ends: an exclusive transaction on a
 * file beside it, which the operating system releases with the process. While it is held, nothing in this process may
 * open that file otherwise: closing any descriptor of a file drops the process's POSIX locks on it.
 *
 * `onWait` is called once if it is taken. Resolves to the release; rejects with InboxLocked after `LOCK_PATIENCE`.
 */
export async function lockInstance(
  path: string,
  { clock, signal, onWait }: { clock: Clock; signal: AbortSignal; onWait: () => void },
): Promise<() => void> {
  const db = new DatabaseSync(`${path}.lock`, { timeout: 0 })
  try {
    const deadline = clock.monotonic() + LOCK_PATIENCE
    for (let first = true; !tryLock(db); first = false) {
      if (first) onWait()
      if (clock.monotonic() >= deadline || signal.aborted) throw new InboxLocked(path)
      await clock.sleep(LOOK_EVERY, signal)
    }
    return () => db.close()
  } catch (error) {
    db.close()
    throw error
  }
}

function tryLock(db: DatabaseSync): boolean {
  try {
    // Without a journal file there is nothing to recover after an unclean death.
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    const SQLITE_BUSY = 5
    if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) === SQLITE_BUSY) return false
    throw error
  }
}
