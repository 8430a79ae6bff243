import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { mkdirDurably } from '../fsync.ts'
import { DatabaseRefused, type Inbox, InboxUnavailable, type InboxWatch, type Ledger } from './inbox.ts'
import { openMemory } from './memory/inbox.ts'
import type { Memory } from './memory/memory.ts'
import { checkDisk } from './sqlite/disk.ts'
import { openSqlite } from './sqlite/inbox.ts'
import { lockInstance } from './sqlite/lock.ts'
import { copyTo, openForReading } from './sqlite/schema.ts'

type SqlitePlace = { readonly kind: 'sqlite'; readonly path: string }

/** Where an inbox is kept. In memory only by tests: no setting names it, since what it acknowledged would be lost. */
export type InboxPlace = SqlitePlace | { readonly kind: 'memory'; readonly memory: Memory }

export type OpenInboxOptions = {
  readonly clock: Clock
  /** With less free on the inbox's disk, bytes, `lowDisk` says so. */
  readonly minFree: number
  readonly onDeath: (error: Error) => void
  /** Ends the wait for the instance lock. */
  readonly signal: AbortSignal
  /** Another service holds the database; this one waits. */
  readonly onWait: () => void
  readonly onWarning: (message: string) => void
} & InboxWatch

/**
 * Opens the inbox for the service: as the only one on its database, with what a dead process left running recovered.
 * @throws InboxLocked, DatabaseRefused
 */
export async function openInbox(database: InboxPlace, options: OpenInboxOptions): Promise<Inbox> {
  if (database.kind === 'memory') return openMemory({ clock: options.clock, memory: database.memory })
  const path = resolve(database.path)
  await mkdirDurably(dirname(path))
  const warning = checkDisk(path)
  if (warning) options.onWarning(warning)
  await using opening = new AsyncDisposableStack()
  opening.defer(await lockInstance(path, options))
  const inbox = await openSqlite({ ...options, path, isService: true }).catch((error) => {
    throw refusalOf(error, path)
  })
  opening.defer(inbox.close)
  const closing = opening.move()
  return { ...inbox, close: () => closing.disposeAsync() }
}

/**
 * Opens what operators use, for a command beside a running service.
 * @throws DatabaseRefused
 */
export async function openLedger(database: SqlitePlace): Promise<Ledger & { close(): Promise<void> }> {
  const path = resolve(database.path)
  if (!existsSync(path))
    throw new Error(`there is no database ${path}: has the service run here, with this DATABASE_URL?`)
  try {
    return await openSqlite({ path, clock: systemClock, minFree: 0, isService: false, onDeath() {} })
  } catch (error) {
    throw refusalOf(error, path)
  }
}

/** Bytes on the disk: of the database, and of its log. Zero for a file that is not there. */
export async function inboxBytes(database: InboxPlace): Promise<{ readonly database: number; readonly log: number }> {
  if (database.kind === 'memory') return { database: 0, log: 0 }
  const size = async (path: string) => (await stat(path).catch(() => null))?.size ?? 0
  return { database: await size(database.path), log: await size(`${database.path}-wal`) }
}

/**
 * Whether the inbox can be read, and is of this version. Throws the database's errors otherwise.
 * @throws DatabaseRefused
 */
export function checkInbox(database: SqlitePlace): void {
  openForReading(database.path).close()
}

/**
 * A consistent copy of the inbox in a new file, while the service goes on. It is not synced.
 * @throws DatabaseRefused
 */
export function copyInbox(database: SqlitePlace, target: string): void {
  const db = openForReading(database.path)
  try {
    copyTo(db, target)
  } finally {
    db.close()
  }
}

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/** A damaged database needs a person. */
function refusalOf(error: unknown, path: string): unknown {
  const cause = error instanceof InboxUnavailable ? error.cause : error
  // Node's own errors have `errcode`; those that came from a thread `code`.
  const { errcode, code, message } = cause as { errcode?: number; code?: unknown; message: string }
  if (![SQLITE_CORRUPT, SQLITE_NOTADB].includes((errcode ?? Number(code)) & 0xff)) return error
  return new DatabaseRefused(`${path} is damaged (${message}): move it away and restore a backup, or start anew`)
}
