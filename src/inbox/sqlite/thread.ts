import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Moment } from '../../job.ts'
import { createForget, type Sweep } from './forget.ts'
import { createReader, type Reader } from './reader.ts'
import { openForReading, openForWriting } from './schema.ts'
import { createWriter, type NextDue, type Writer } from './writer.ts'

/**
 * The thread that holds a database connection. SQLite is synchronous and a commit waits for the disk: here that blocks
 * nobody. The writing thread takes batches, each one transaction; the reading thread takes single questions.
 */

export type ThreadOptions = { readonly path: string; readonly mode: 'write' | 'read'; readonly retryFor: number }

/** What a thread is started with. `bell`: an Int32 that is raised and notified for each request. */
export type ThreadData = ThreadOptions & { readonly bell: SharedArrayBuffer }

/** A change, by the name of the writer's function. */
export type Change = {
  [K in keyof Changes]: readonly [name: K, args: Parameters<Changes[K]>]
}[keyof Changes]

type Changes = Pick<
  Writer,
  'accept' | 'claim' | 'settle' | 'probe' | 'held' | 'recover' | 'requeue' | 'erase' | 'pause' | 'clampDue' | 'working'
> & { forget(before: number, at: Sweep): { rows: number; next: Sweep | null } }

export type Question = {
  [K in keyof Reader]: readonly [name: K, args: Parameters<Reader[K]>]
}[keyof Reader]

export type Request = {
  readonly id: number
} /** One transaction. `working`: the working clock's reading, kept with whatever is written. */ & (
  | { readonly batch: readonly Change[]; readonly working: number }
  | { readonly ask: Question }
  /** Whether another process has written since, and whether a due time lies too far ahead. */
  | { readonly tick: Moment }
  | { readonly close: true }
)

export type Reply = { readonly id: number } & (
  | (Committed & Outlook)
  | { readonly changed: boolean; readonly paused: boolean }
  | { readonly answer: unknown }
  | { readonly failure: Failure }
)

/** `failed`: the transaction as a whole; nothing of it was kept. */
type Committed = { readonly results: readonly Result[]; readonly failed: boolean }
type Outlook = { readonly nextDue: NextDue; readonly paused: boolean }

export type Result = { readonly value: unknown } | { readonly failure: Failure }

/** An SQLite error, as it crosses to the main thread. `code` is SQLite's primary result code; 0 for other errors. */
export type Failure = { readonly code: number; readonly message: string }

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

if (parentPort) serve(workerData as ThreadData)

function serve({ path, mode, retryFor, bell }: ThreadData): void {
  const port = parentPort!
  const db = mode === 'write' ? openForWriting(path) : openForReading(path)
  const reply = (message: Reply) => port.postMessage(message)
  let answer: (request: Request) => void

  if (mode === 'read') {
    const reader = createReader(db)
    answer = (request) => {
      if (!('ask' in request)) return
      const [name, args] = request.ask
      try {
        const ask = reader[name] as (...args: unknown[]) => unknown
        reply({ id: request.id, answer: ask(...args) })
      } catch (error) {
        reply({ id: request.id, failure: failureOf(error) })
      }
    }
  } else {
    const writer = createWriter(db, { retryFor })
    const changes = { ...writer, forget: createForget(db, writer) }
    const dataVersion = db.prepare('PRAGMA data_version')
    let seenVersion = Object.values(dataVersion.get()!)[0]

    const apply = ([name, args]: Change): unknown => (changes[name] as (...args: unknown[]) => unknown)(...args)

    /** What the main thread is told with every answer; read within the transaction, whose fate it shares. */
    let outlook: Outlook = { nextDue: { fetch: null, hand_over: null }, paused: false }

    const commit = (batch: readonly Change[], working: number): Committed => {
      try {
        return { results: transaction(working, () => batch.map((change) => ({ value: apply(change) }))), failed: false }
      } catch (error) {
        const failure = failureOf(error)
        if (WHOLE_BATCH.has(failure.code)) return { results: batch.map(() => ({ failure })), failed: true }
      }
      // One of the rows is bad: the same again, each under a savepoint, so that it fails alone.
      try {
        return { results: transaction(working, () => batch.map(applyAlone)), failed: false }
      } catch (error) {
        const failure = failureOf(error)
        return { results: batch.map(() => ({ failure })), failed: true }
      }
    }

    const transaction = (working: number, run: () => Result[]): Result[] => {
      try {
        db.exec('BEGIN IMMEDIATE')
        const results = run()
        writer.finish(working)
        const next = { nextDue: writer.nextDue(), paused: writer.paused() }
        db.exec('COMMIT')
        outlook = next
        return results
      } catch (error) {
        writer.dropCounts()
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    }

    const applyAlone = (change: Change): Result => {
      const counts = writer.saveCounts()
      db.exec('SAVEPOINT alone')
      try {
        return { value: apply(change) }
      } catch (error) {
        if (WHOLE_BATCH.has(failureOf(error).code)) throw error
        db.exec('ROLLBACK TO alone')
        writer.restoreCounts(counts)
        return { failure: failureOf(error) }
      } finally {
        if (db.isTransaction) db.exec('RELEASE alone')
      }
    }

    const tick = (at: Moment): boolean => {
      const version = Object.values(dataVersion.get()!)[0]
      const changed = version !== seenVersion
      seenVersion = version
      if (!writer.dueTooFar(at)) return changed
      commit([['clampDue', [at]]], at.working)
      return true
    }

    answer = (request) => {
      try {
        if ('batch' in request) {
          const committed = commit(request.batch, request.working)
          reply({ id: request.id, ...committed, ...outlook })
        } else if ('tick' in request) {
          const changed = tick(request.tick)
          reply({ id: request.id, changed, paused: writer.paused() })
        }
      } catch (error) {
        reply({ id: request.id, failure: failureOf(error) })
      }
    }
  }

  reply({ id: 0, answer: null })
  // Waits on the bell rather than for events: a thread wakes from that several times sooner, and has nothing else to do.
  const rung = new Int32Array(bell)
  let heard = 0
  for (;;) {
    Atomics.wait(rung, 0, heard)
    // Read before the messages are: a bell that rings in between is heard next time.
    heard = Atomics.load(rung, 0)
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      const request = next.message as Request
      if (!('close' in request)) answer(request)
      else {
        db.close()
        reply({ id: request.id, answer: null })
        return port.close()
      }
    }
  }
}

function failureOf(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message: string }
  return { code: (errcode ?? 0) & 0xff, message }
}
