import type { DatabaseSync } from 'node:sqlite'
import type { NextDue, Queued } from '../wake-up.ts'
import { type Failure, failureOf } from './failure.ts'
import { createPrune, type Prune } from './prune.ts'
import { createWriter, type Writer } from './writer.ts'

/** The changes that can be requested, by the name of the writer's function. */
export type Changes = Pick<
  Writer,
  | 'accept'
  | 'claim'
  | 'settle'
  | 'settleSideFiles'
  | 'holds'
  | 'recover'
  | 'requeue'
  | 'reread'
  | 'erase'
  | 'pause'
  | 'stopAsked'
  | 'linkKey'
  | 'note'
  | 'count'
  | 'eraseDelivery'
  | 'fillCauses'
  | 'probe'
  | 'expect'
  | 'missed'
  | 'looked'
> &
  Prune

export type Change = { [K in keyof Changes]: readonly [name: K, args: Parameters<Changes[K]>] }[keyof Changes]

export type ChangeResult = { readonly value: unknown } | { readonly failure: Failure }

/**
 * The thread's answer to a transaction. `failed`: the whole transaction failed and nothing was kept. The rest is the
 * state after the transaction, as far as the worker needs it.
 */
export type Committed = {
  readonly results: readonly ChangeResult[]
  readonly failed: boolean
  readonly queued: Queued
  readonly nextDue: NextDue
  readonly paused: boolean
}

/** SQLite result codes that concern the database, not the row: nothing of the batch can be kept. */
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
  const changes: Changes = { ...writer, ...createPrune(db, writer) }
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
    // One of the rows is at fault: repeat the batch with a savepoint per row, so that only that row fails.
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

  /**
   * Whether another process has written since the last call, or due times had to be moved back because the clock
   * jumped.
   */
  function tick(now: number): { changed: boolean; paused: boolean } {
    const version = versionOf()
    const isNew = version !== seenVersion
    seenVersion = version
    return { changed: writer.clampDue(now) || isNew, paused: writer.paused() }
  }

  return { commit, tick }
}
