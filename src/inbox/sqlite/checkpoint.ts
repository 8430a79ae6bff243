import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

/**
 * Checkpoints: moves the write-ahead log into the database. A checkpoint within a commit delayed acknowledgements by
 * seconds on slow disks. Therefore a separate connection moves most of the log while the writer continues. The writer
 * moves only the rest, some pages, between two transactions, and then empties the log.
 */

/**
 * The upper limit of the log's bound. A random page of an index is written to the log many times, and then to the
 * database once.
 */
export const MAX_LOG_BYTES = 256 * 1024 * 1024
/** The lower limit: below it, checkpoints would cost more than they save. */
const MIN_LOG_BYTES = 1024 * 1024
/** The part of its volume that the log may use. */
const LOG_PART_OF_VOLUME = 1 / 16
/** Pages that the writer itself should have to move: 20 ms on a disk with 3000 operations per second. */
const MAX_REST_PAGES = 50
/** Maximum passes before the writer moves the rest, however large it is: the log must not grow without bound. */
const MAX_PASSES = 8

/**
 * `pages` are in the log, `left` of them not yet in the database. `busy`: a reader prevented the log from being
 * emptied.
 */
export type Checkpointed = { readonly busy: boolean; readonly pages: number; readonly left: number }

/** Runs in a database thread. Never waits for others: a busy log is moved the next time. */
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

/** Maximum size of the log on the volume of `path`, bytes. */
export async function logBound(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(dirname(path))
  return Math.max(MIN_LOG_BYTES, Math.min(MAX_LOG_BYTES, blocks * bsize * LOG_PART_OF_VOLUME))
}

export type Checkpointer = {
  /** To be called periodically: moves the log when it exceeds its bound. Never rejects. */
  look(): Promise<void>
  /**
   * Moves and empties the log now, so that erased data does not remain in it. If a reader prevents that, the next
   * `look` does it.
   */
  now(): Promise<void>
}

export function createCheckpointer(options: {
  readonly path: string
  readonly bound: number
  /** Checkpoints on the connection that only moves the log. */
  readonly bulk: () => Promise<Checkpointed>
  /** Checkpoints on the writer's connection, between two transactions. */
  readonly rest: () => Promise<Checkpointed>
}): Checkpointer {
  let running: Promise<void> | null = null
  let isWanted = false

  async function run(): Promise<void> {
    let inDatabase = 0
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const { pages, left } = await options.bulk()
      // Pages written meanwhile are not counted. They are fewer than this pass moved, since they had less time.
      const wasSmall = pages - inDatabase <= MAX_REST_PAGES
      inDatabase = pages - left
      if (wasSmall) break
    }
    isWanted = (await options.rest()).busy
  }

  function start(): Promise<void> {
    // A failure, for example on a full disk, also shows in the next commit; the next call tries again.
    running ??= run()
      .catch(() => {})
      .finally(() => {
        running = null
      })
    return running
  }

  return {
    async look() {
      // Reading its size opens nothing: closing a descriptor would release SQLite's locks.
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
