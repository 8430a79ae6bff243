import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { mkdirDurably } from '../fsync.ts'
import type { About, Fleet } from './fleet.ts'
import { type ClaimId, DatabaseRefused, type Inbox, InboxUnavailable, type Ledger } from './inbox.ts'
import { openMemory } from './memory/inbox.ts'
import type { Memory } from './memory/memory.ts'
import { checkCopy, markInterrupted } from './sqlite/check-copy.ts'
import { checkDisk } from './sqlite/disk.ts'
import { openSqlite } from './sqlite/inbox.ts'
import { type Inspection, inspectDatabase } from './sqlite/inspect.ts'
import { InboxLocked, isInstanceLocked, lockInstance } from './sqlite/lock.ts'
import { copyTo, MIGRATIONS, openForReading } from './sqlite/schema.ts'
import type { SearchState } from './sqlite/search-thread.ts'
import { removeSideFile, sideFileOf } from './sqlite/side-file.ts'
import type { InboxWatch } from './watch.ts'

type SqlitePlace = { readonly kind: 'sqlite'; readonly path: string }
/** `location`: for people, without a password. */
type PostgresPlace = { readonly kind: 'postgres'; readonly url: string; readonly location: string }
/** Where an inbox may be kept beyond the process. */
type DatabasePlace = SqlitePlace | PostgresPlace

/**
 * Where an inbox is kept. In memory only in tests: no setting names it, since acknowledged deliveries would be lost.
 */
export type InboxPlace = DatabasePlace | { readonly kind: 'memory'; readonly memory: Memory }

export type OpenInboxOptions = {
  readonly clock: Clock
  /** With fewer free bytes than this on the inbox's disk, `lowDisk` reports it. */
  readonly minFree: number
  readonly onDeath: (error: Error) => void
  /** Aborts the wait for the instance lock. */
  readonly signal: AbortSignal
  /** Called when this service waits: another one holds the database, or the database does not answer. */
  readonly onWait: (why: 'locked' | 'unreachable', message: string) => void
  /** What the other services on the database are told of this one. */
  readonly about: About
  /** This service was taken for dead, and these claims are lost. */
  readonly onLost: (claims: readonly ClaimId[]) => void
  readonly onWarning: (message: string) => void
  /** The index of search has changed: whatever befalls it, nothing else is hurt. */
  readonly onSearch?: (state: SearchState) => void
} & InboxWatch

/**
 * Opens the inbox for the service, which is the only one on its database, and recovers jobs that a dead process left
 * running.
 * @throws InboxLocked, DatabaseRefused
 */
export async function openInbox(database: InboxPlace, options: OpenInboxOptions): Promise<Inbox> {
  if (database.kind === 'memory') return openMemory({ clock: options.clock, memory: database.memory })
  if (database.kind === 'postgres') return (await import('./postgres/open.ts')).openForService(database, options)
  const path = resolve(database.path)
  await mkdirDurably(dirname(path))
  const warning = checkDisk(path)
  if (warning) options.onWarning(warning)
  await using opening = new AsyncDisposableStack()
  opening.defer(await lockInstance(path, { ...options, onWait: () => options.onWait('locked', path) }))
  const inbox = await openSqlite({ ...options, path, isService: true }).catch((error) => {
    throw refusalOf(error, path)
  })
  opening.defer(inbox.close)
  const closing = opening.move()
  return { ...inbox, close: () => closing.disposeAsync() }
}

/**
 * Opens the operators' view of the inbox, for a command beside a running service.
 * @throws DatabaseRefused
 */
export async function openLedger(database: DatabasePlace): Promise<Ledger & Fleet & { close(): Promise<void> }> {
  if (database.kind === 'postgres') return (await import('./postgres/open.ts')).openForCommand(database)
  const path = resolve(database.path)
  if (!existsSync(path))
    throw new Error(`there is no database ${path}: has the service run here, with this DATABASE_URL?`)
  try {
    return await openSqlite({ path, clock: systemClock, minFree: 0, isService: false, onDeath() {} })
  } catch (error) {
    throw refusalOf(error, path)
  }
}

/** Bytes on the disk: of the database, of its log, and of the index of search with its own. Zero for a file that is not there. */
export async function inboxBytes(database: InboxPlace): Promise<InboxBytes> {
  // A server looks after its own disk.
  if (database.kind !== 'sqlite') return { database: 0, log: 0, search: 0 }
  const size = async (path: string) => (await stat(path).catch(() => null))?.size ?? 0
  const [{ path }, index] = [database, sideFileOf(database.path)]
  return {
    database: await size(path),
    log: await size(`${path}-wal`),
    search: (await size(index)) + (await size(`${index}-wal`)),
  }
}

type InboxBytes = { readonly database: number; readonly log: number; readonly search: number }

/** Deletes the index of search, which the next service builds anew. Only while none runs. */
export function removeSearchIndex(database: SqlitePlace): void {
  removeSideFile(resolve(database.path))
}

/**
 * Checks that the inbox can be read and has this version. Throws the database's errors otherwise.
 * @throws DatabaseRefused
 */
export function checkInbox(database: SqlitePlace): void {
  openForReading(database.path).close()
}

/** The schema of this version. */
export const INBOX_VERSION = MIGRATIONS.length

/** `disk`: a warning about where it lies. `large`: looking at all of it would take too long. */
export type InboxLook = { readonly disk: string | null } & (
  | { readonly is: 'absent' }
  | { readonly is: 'large' }
  | { readonly is: 'looked'; readonly inspection: Inspection }
)

/**
 * Looks at the disk and the file of an inbox from outside, changes nothing, and needs no database of this version.
 * `timeout`: how long its pages may be looked at, ms. Throws the database's errors.
 * @throws DatabaseRefused
 */
export async function inspectInbox(database: SqlitePlace, timeout: number): Promise<InboxLook> {
  const path = resolve(database.path)
  const disk = checkDisk(join(existingFolder(dirname(path)), basename(path)))
  if (!existsSync(path)) return { is: 'absent', disk }
  const inspection = await inspectDatabase(path, timeout)
  return inspection === null ? { is: 'large', disk } : { is: 'looked', inspection, disk }
}

/** A folder that does not exist yet is made on the disk of the one above. */
function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder))
}

/**
 * Copies the inbox consistently into a new file while the service runs. The copy is not synced.
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

/** A service that has not been heard of for this long does not run, as far as a command can tell, ms. */
const MAX_SILENCE_MS = 15_000

/** Whether a service works on the database now. Only for processes that do not. */
export async function isServiceRunning(database: DatabasePlace, fleet: Pick<Fleet, 'replicas'>): Promise<boolean> {
  if (database.kind === 'sqlite') return isInstanceLocked(resolve(database.path))
  return (await fleet.replicas()).some(({ silentFor }) => silentFor < MAX_SILENCE_MS)
}

/**
 * Looks whether the copy of a backup at `path` can take the place of an inbox, and makes it ready for that; `name` is what
 * it is called in what is said.
 * @throws DatabaseRefused
 */
export function prepareBackup(path: string, name: string): void {
  checkCopy(path, name)
  markInterrupted(path)
}

/** Keeps services away until the release that it resolves to; null when one runs already. */
export async function lockWithoutService(database: SqlitePlace): Promise<(() => void) | null> {
  try {
    // With a signal that has aborted, a lock that is taken is not waited for.
    const options = { clock: systemClock, signal: AbortSignal.abort(), onWait() {} }
    return await lockInstance(resolve(database.path), options)
  } catch (error) {
    if (error instanceof InboxLocked) return null
    throw error
  }
}

/**
 * Moves an inbox from a file into an empty database of a server, table by table, while no service works on either. Returns
 * how many rows of each table there are. A move that broke off goes on.
 * @throws DatabaseRefused
 */
export async function moveInbox(
  from: SqlitePlace,
  to: PostgresPlace,
  onProgress: (table: string, rows: number) => void,
) {
  const [{ MOVED_TABLES, openExport }, { importInbox }] = await Promise.all([
    import('./sqlite/export.ts'),
    import('./postgres/import.ts'),
  ])
  const source = openExport(from.path)
  try {
    return await importInbox(to, source, MOVED_TABLES, onProgress)
  } finally {
    source.close()
  }
}

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/** Translates damage of the database, which needs a person. */
function refusalOf(error: unknown, path: string): unknown {
  const cause = error instanceof InboxUnavailable ? error.cause : error
  // Node's own errors have `errcode`; errors from a thread have `code`.
  const { errcode, code, message } = cause as { errcode?: number; code?: unknown; message: string }
  if (![SQLITE_CORRUPT, SQLITE_NOTADB].includes((errcode ?? Number(code)) & 0xff)) return error
  return new DatabaseRefused(
    `${path} is damaged (${message}): move it away and restore a backup, or start with an empty database`,
  )
}
