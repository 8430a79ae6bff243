import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../clock.ts'
import { whyNoFile, whyNoFolder } from '../../permissions.ts'
import { DatabaseRefused } from '../inbox.ts'
import { ensurePrivateFile } from './private-file.ts'

/** How long a service waits for the previous one to end, ms. */
export const LOCK_TIMEOUT_MS = 60_000
/** How often it tries, ms. */
const LOCK_RETRY_DELAY_MS = 100

/** Another service holds the database. */
export class InboxLocked extends Error {
  constructor(path: string) {
    super(`${path} is in use by another running service; stop that one, or give this one another DATABASE_URL`)
    this.name = 'InboxLocked'
  }
}

/**
 * Makes this process the only service on the database until it ends, however it ends: an exclusive transaction on a
 * file beside the database, which the operating system releases with the process. While it is held, no other code in
 * this process may open that file: closing any descriptor of a file releases the process's POSIX locks on it. The
 * transaction writes, because a reading one would lock nothing: SQLite opens a file without write permission for
 * reading, and reports that only at the first write.
 *
 * `onWait` is called once if another process holds the lock. Resolves to the release.
 * @throws InboxLocked after `LOCK_TIMEOUT_MS`, DatabaseRefused when the file cannot be locked
 */
export async function lockInstance(
  path: string,
  { clock, signal, onWait }: { clock: Clock; signal: AbortSignal; onWait: () => void },
): Promise<() => void> {
  const file = `${path}.lock`
  const db = openLock(file)
  try {
    const deadline = clock.monotonic() + LOCK_TIMEOUT_MS
    for (let first = true; !tryLock(db, file); first = false) {
      if (first) onWait()
      if (clock.monotonic() >= deadline || signal.aborted) throw new InboxLocked(path)
      await clock.sleep(LOCK_RETRY_DELAY_MS, signal)
    }
    return () => db.close()
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Whether a service holds the database now. Only for processes that do not: whoever holds the lock would lose it by this
 * look (see lockInstance).
 */
export function isInstanceLocked(path: string): boolean {
  const file = `${path}.lock`
  if (!existsSync(file)) return false
  // A reader's lock for a moment: a service that starts meanwhile tries again after LOOK_EVERY.
  using db = new DatabaseSync(file, { timeout: 0, readOnly: true })
  try {
    db.prepare('PRAGMA user_version').get()
    return false
  } catch (error) {
    const SQLITE_BUSY = 5
    if (codeOf(error) === SQLITE_BUSY) return true
    throw refused(file, error)
  }
}

function openLock(file: string): DatabaseSync {
  ensurePrivateFile(file)
  try {
    return new DatabaseSync(file, { timeout: 0 })
  } catch (error) {
    throw refused(file, error)
  }
}

function tryLock(db: DatabaseSync, file: string): boolean {
  try {
    // Without a journal file nothing needs recovery after an unclean death. The transaction is never committed.
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; PRAGMA user_version = 1')
    return true
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    const SQLITE_BUSY = 5
    if (codeOf(error) === SQLITE_BUSY) return false
    throw refused(file, error)
  }
}

function codeOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}

/** A service that continued without its lock could share its database with another one. */
function refused(file: string, error: unknown): DatabaseRefused {
  const why = whyNoFile(file) ?? whyNoFolder(dirname(file)) ?? `${file}: ${(error as Error).message}`
  return new DatabaseRefused(`this service cannot lock its database, so another one could run beside it: ${why}`)
}
