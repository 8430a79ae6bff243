import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

/**
 * Moving the write-ahead log into the database. A checkpoint within a commit held acknowledgements up for seconds on slow
 * disks, so the bulk is moved by a connection of its own while the writer goes on; only the rest, some pages, is moved by
 * the writer between two transactions, which also empties the log.
 */

/** The most that the log may hold. A random page of an index is written many times to it, and then once to the database. */
export const MAX_LOG_BYTES = 256 * 1024 * 1024
/** The least: below, checkpoints would cost more than they save. */
const MIN_LOG_BYTES = 1024 * 1024
/** The part of its volume that the log may take. */
const LOG_PART_OF_VOLUME = 1 / 16
/** Pages that the writer itself should have to move: 20 ms on a disk of 3000 operations a second. */
const MAX_REST_PAGES = 50
/** How often the bulk is moved before the writer moves the rest, however much it is: the log must not grow without end. */
const MAX_PASSES = 8

/** `pages` are in the log, `left` of them not yet in the database. `busy`: a reader kept it from being emptied. */
export type Checkpointed = { readonly busy: boolean; readonly pages: number; readonly left: number }

/** Runs in a thread of the database. Never waits for others: what is busy is done next time. */
export function checkpoint(db: DatabaseSync, mode: 'passive' | 'truncate'): Checkpointed {
  const { timeout } = db.prepare('PRAGMA busy_timeout').get() as { timeout: number }
  db.exec('PRAGMA busy_timeout = 0')
  try {
    const row = db.prepare(`PRAGMA wal_checkpoint(${mode.toUpperCase()})`).get() as CheckpointRow
    return { busy: row.busy === 1, pages: Math.max(row.log, 0), left: Math.max(row.log - row.checkpointed, 0) }
  } finally {
    db.exec(`PRAGMA busy_timeout = ${timeout}`)
  }
}

type CheckpointRow = { busy: number; log: number; checkpointed: number }

/** How large the log may grow on the volume of `path`, bytes. */
export async function logBound(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(dirname(path))
  return Math.max(MIN_LOG_BYTES, Math.min(MAX_LOG_BYTES, blocks * bsize * LOG_PART_OF_VOLUME))
}

export type Checkpointer = {
  /** To be called now and then: moves the log when it is larger than its bound. Never rejects. */
  look(): Promise<void>
  /** Moves and empties it now: nothing that was erased stays in it, unless a reader is in the way until the next look. */
  now(): Promise<void>
}

export function createCheckpointer(options: {
  readonly path: string
  readonly bound: number
  /** Runs it on the connection that only moves the log. */
  readonly bulk: () => Promise<Checkpointed>
  /** Runs it on the writer's connection, between two transactions. */
  readonly rest: () => Promise<Checkpointed>
}): Checkpointer {
  let running: Promise<void> | null = null
  let isWanted = false

  async function run(): Promise<void> {
    let inDatabase = 0
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const { pages, left } = await options.bulk()
      // What was written meanwhile is not in its counts. It is less than this pass had to move, since it took less time.
      const wasSmall = pages - inDatabase <= MAX_REST_PAGES
      inDatabase = pages - left
      if (wasSmall) break
    }
    isWanted = (await options.rest()).busy
  }

  function start(): Promise<void> {
    // What fails here, on a full disk say, shows in the next commit too; it is tried again at the next look.
    running ??= run()
      .catch(() => {})
      .finally(() => {
        running = null
      })
    return running
  }

  return {
    async look() {
      // A look at its size opens nothing: closing a descriptor would drop SQLite's locks.
      const size = await stat(`${options.path}-wal`).then(
        (file) => file.size,
        () => 0,
      )
      if (isWanted || size > options.bound) await start()
    },
    async now() {
      await running
      isWanted = true
      await start()
    },
  }
}
