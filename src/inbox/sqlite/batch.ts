import type { DatabaseSync } from 'node:sqlite'
import type { NextDue } from './claim.ts'
import { createPrune, type PruneCursor } from './prune.ts'
import { createReread } from './reread.ts'
import type { Queued } from './tally.ts'
import { createWriter, type Writer } from './writer.ts'

/** The changes that may be asked for, by the name of the writer's function. */
export type Changes = Pick<
  Writer,
  | 'accept'
  | 'claim'
  | 'settle'
  | 'settleSideFiles'
  | 'holds'
  | 'recover'
  | 'requeue'
  | 'erase'
  | 'pause'
  | 'stopAsked'
  | 'linkKey'
  | 'probe'
> & {
  prune(before: number, at: PruneCursor): { rows: number; next: PruneCursor | null }
  reread: ReturnType<typeof createReread>
}

export type Change = { [K in keyof Changes]: readonly [name: K, args: Parameters<Changes[K]>] }[keyof Changes]

export type ChangeResult = { readonly value: unknown } | { readonly failure: Failure }

/** An SQLite error, as it crosses to the main thread. `code` is SQLite's primary result code; 0 for other errors. */
export type Failure = { readonly code: number; readonly message: string }

/**
 * What the main thread is told after a transaction. `failed`: as a whole, nothing of it was kept. The rest is the state that
 * the transaction left, as far as the worker has to know it.
 */
export type Committed = {
  readonly results: readonly ChangeResult[]
  readonly failed: boolean
  readonly queued: Queued
  readonly nextDue: NextDue
  readonly paused: boolean
}

/** SQLite result codes that mean the database, not the row, is the trouble: nothing of the batch can be kept. */
const WHOLE_BATCH: ReadonlySet<number> = new Set([
  5, // BUSY
  7, // NOMEM
  8, // READONLY
  10, // IOERR
  11, // CORRUPT
  13, // FULL
  14, // CANTOPEN
  26, // NOTADB
])

const NOTHING_QUEUED: Queued = { fetch: false, hand_over: false }

/** Applies batches of changes, each as one transaction. */
export function createBatches(db: DatabaseSync) {
  const writer = createWriter(db)
  const changes: Changes = { ...writer, prune: createPrune(db, writer), reread: createReread(db, writer) }
  const dataVersion = db.prepare('PRAGMA data_version')
  let seenVersion = versionOf()
  let outlook = { nextDue: { fetch: null, hand_over: null } as NextDue, paused: false }

  function versionOf(): unknown {
    return Object.values(dataVersion.get()!)[0]
  }

  function apply([name, args]: Change): unknown {
    return (changes[name] as (...args: unknown[]) => unknown)(...args)
  }

  function commit(batch: readonly Change[]): Committed {
    try {
      return transaction(() => batch.map((change) => ({ value: apply(change) })))
    } catch (error) {
      const failure = failureOf(error)
      if (WHOLE_BATCH.has(failure.code)) return failed(batch, failure)
    }
    // One of the rows is bad: the same again, each under a savepoint, so that it fails alone.
    try {
      return transaction(() => batch.map(applyAlone))
    } catch (error) {
      return failed(batch, failureOf(error))
    }
  }

  function failed(batch: readonly Change[], failure: Failure): Committed {
    return { results: batch.map(() => ({ failure })), failed: true, queued: NOTHING_QUEUED, ...outlook }
  }

  function transaction(run: () => ChangeResult[]): Committed {
    try {
      db.exec('BEGIN IMMEDIATE')
      const results = run()
      const queued = writer.tally.finish()
      const next = { nextDue: writer.nextDue(), paused: writer.paused() }
      db.exec('COMMIT')
      outlook = next
      return { results, failed: false, queued, ...next }
    } catch (error) {
      writer.tally.drop()
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }

  function applyAlone(change: Change): ChangeResult {
    const saved = writer.tally.save()
    db.exec('SAVEPOINT alone')
    try {
      return { value: apply(change) }
    } catch (error) {
      if (WHOLE_BATCH.has(failureOf(error).code)) throw error
      db.exec('ROLLBACK TO alone')
      writer.tally.restore(saved)
      return { failure: failureOf(error) }
    } finally {
      if (db.isTransaction) db.exec('RELEASE alone')
    }
  }

  /** Whether another process has written since the last look, or due times had to be pulled back to a clock that jumped. */
  function tick(now: number): { changed: boolean; paused: boolean } {
    const version = versionOf()
    const isNew = version !== seenVersion
    seenVersion = version
    return { changed: writer.clampDue(now) || isNew, paused: writer.paused() }
  }

  return { commit, tick }
}

export function failureOf(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message: string }
  return { code: (errcode ?? 0) & 0xff, message }
}
