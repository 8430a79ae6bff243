import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { formatBytes } from '../../units.ts'
import { failureOf } from './failure.ts'
import { createIndexer, type Indexer } from './indexer.ts'
import { openForReading } from './schema.ts'
import { databaseIdOf, openSideFile, removeSideFile, SideFileRefused, sideFileOf } from './side-file.ts'
import { batchesOf, type Signals, take } from './signals.ts'

/**
 * The thread that keeps the index of search up to date. Nothing waits for it: what it has not indexed yet is looked through
 * by the reader, and without an index all is.
 */
export type SearchThreadOptions = { readonly path: string; readonly signals: Signals; readonly minFree: number }

/** `tidy`: something was deleted, so what the index has of it has to leave the file. */
export type SearchRequest = { readonly forget: string } | { readonly tidy: true } | { readonly close: true }

/**
 * How it stands, after each change. `indexed`: up to this delivery all are; `isTidy`: the file has no
 * word of anything that was deleted. `trouble`: why the index is not kept up to date, for people; null while it is.
 */
export type SearchState = {
  readonly indexed: number
  readonly isTidy: boolean
  readonly trouble: string | null
}

/** Nobody has written for so long: then a step takes no time from an acknowledgement, ms. */
const QUIET_MS = 100
/** After this it takes a step all the same, ms: a service that always has something to write has an index too. */
const MAX_STAND_BACK_MS = 2_000
/** How often it looks for new deliveries, ms. */
const LOOK_EVERY_MS = 1_000
/** How long it waits after a failure, ms: a disk that is full stays so for a while, and an index takes long to build. */
const RETRY_DELAY_MS = 30_000
const SQLITE_BUSY = 5
/** SQLite's codes for trouble with the disk: it passes, and the index is as good as before. */
const DISK: ReadonlySet<number> = new Set([
  7, // NOMEM
  8, // READONLY
  10, // IOERR
  13, // FULL
  14, // CANTOPEN
])

function run(port: MessagePort, { path, signals, minFree }: SearchThreadOptions): void {
  const main = openForReading(path)
  const forgotten: string[] = []
  let open: { readonly side: DatabaseSync; readonly indexer: Indexer } | null = null
  let isClosing = false
  // What an earlier process deleted, and did not get out of the file.
  let isTidyWanted = true
  let trouble: string | null = null
  /** How many transactions had begun when nobody had written for a moment. */
  let calmAt: number | null = null
  /** When it was deleted last, to be built anew, on the monotonic clock, ms. */
  let rebuiltAt = Number.NEGATIVE_INFINITY
  let told = ''
  let wake = () => {}

  port.on('message', (request: SearchRequest) => {
    if ('forget' in request) forgotten.push(request.forget)
    else if ('tidy' in request) isTidyWanted = true
    else isClosing = true
    wake()
  })

  async function work(): Promise<void> {
    while (!isClosing) {
      try {
        await turn()
      } catch (error) {
        await afterFailure(error).catch(({ message }: Error) => failed(message))
      }
    }
    close()
    main.close()
    port.close()
  }

  async function turn(): Promise<void> {
    if (take(signals, 'fault')) throw new SideFileRefused('it could not be read')
    open ??= openIndex()
    const { indexer } = open
    for (let jobId = forgotten[0]; jobId !== undefined; jobId = forgotten[0]) {
      indexer.forget(jobId)
      forgotten.shift()
      tell(indexer)
    }
    if (isLow()) return rest(RETRY_DELAY_MS)
    const rows = indexer.step()
    trouble = null
    if (rows === 0 && isTidyWanted) await tidy(indexer)
    tell(indexer)
    if (rows > 0) await quiet()
    else await rest(LOOK_EVERY_MS)
  }

  function openIndex() {
    const id = databaseIdOf(main)
    if (id === null) throw new Error('the database has no id yet')
    const side = openSideFile(path, id, { mode: 'create' })
    const { quick_check: found } = side.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
    if (found !== 'ok') {
      side.close()
      throw new SideFileRefused(found)
    }
    return { side, indexer: createIndexer(main, side) }
  }

  function close(): void {
    open?.side.close()
    open = null
  }

  async function tidy(indexer: Indexer): Promise<void> {
    isTidyWanted = false
    try {
      for (const steps of [indexer.sweep(), indexer.purge()])
        for (const _ of steps) {
          tell(indexer)
          await quiet()
          if (isClosing) return
        }
    } catch (error) {
      isTidyWanted = true
      throw error
    }
  }

  /** An index on a disk that is nearly full would take the room that deliveries need. */
  function isLow(): boolean {
    const { bavail, bsize } = statfsSync(dirname(path))
    if (bavail * bsize >= minFree) return false
    failed(`${formatBytes(bavail * bsize)} free on the disk, less than MIN_FREE_DISK (${formatBytes(minFree)})`)
    return true
  }

  async function afterFailure(error: unknown): Promise<void> {
    const { code, message } = failureOf(error)
    if (code === SQLITE_BUSY) return rest(QUIET_MS)
    close()
    failed(message)
    const isOften = performance.now() - rebuiltAt < RETRY_DELAY_MS
    if (DISK.has(code) || isOften) return rest(RETRY_DELAY_MS)
    rebuiltAt = performance.now()
    removeSideFile(path)
  }

  function failed(why: string): void {
    trouble = `${sideFileOf(path)}: ${why}`
    tell(open?.indexer ?? null)
  }

  function tell(indexer: Indexer | null): void {
    const state: SearchState = { indexed: indexer?.indexed() ?? 0, isTidy: indexer?.isTidy() ?? true, trouble }
    const text = JSON.stringify(state)
    if (text !== told) port.postMessage(state)
    told = text
  }

  /** Until nobody has written for a moment. */
  async function quiet(): Promise<void> {
    let before = batchesOf(signals)
    // Nobody has written since the last time. Messages are read meanwhile.
    if (before !== null && before === calmAt) return new Promise((resolve) => setImmediate(resolve))
    const since = performance.now()
    while (!isClosing && performance.now() - since < MAX_STAND_BACK_MS) {
      await rest(QUIET_MS)
      const now = batchesOf(signals)
      if (now !== null && now === before) {
        calmAt = now
        return
      }
      before = now
    }
  }

  function rest(ms: number): Promise<void> {
    if (isClosing) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  void work()
}

if (parentPort) run(parentPort, workerData as SearchThreadOptions)
