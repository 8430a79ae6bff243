import type { DatabaseSync } from 'node:sqlite'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Change, Committed } from './batch.ts'
import { type Checkpointed, checkpoint } from './checkpoint.ts'
import { type Failure, failureOf } from './failure.ts'
import type { Queries } from './queries.ts'
import { openForReading, openForWriting } from './schema.ts'
import { type Signals, whileWriting } from './signals.ts'

/**
 * A thread with a database connection. SQLite is synchronous and a commit waits for the disk; on a thread that blocks
 * nothing else. The writing thread accepts batches, each one transaction; the reading thread answers single queries; a
 * third one moves the log into the database.
 */

export type ThreadOptions = {
  readonly path: string
  readonly mode: 'write' | 'read' | 'checkpoint'
  /** Whether to migrate the schema: only for the holder of the instance lock. */
  readonly migrate: boolean
  /** How long a write waits for another process's write, ms; default in schema.ts. */
  readonly busyTimeout?: number | undefined
  /** What the threads of one inbox tell each other; null where there is no index of search to keep. */
  readonly signals: Signals | null
}

export type Question = { [K in keyof Queries]: readonly [name: K, args: Parameters<Queries[K]>] }[keyof Queries]

export type ThreadRequest = { readonly id: number } & (
  | { readonly batch: readonly Change[] }
  | { readonly ask: Question }
  | { readonly tick: number }
  | { readonly checkpoint: 'passive' | 'truncate' }
  | { readonly close: true }
)

export type ThreadReply = { readonly id: number } & (
  | Committed
  | { readonly changed: boolean; readonly paused: boolean }
  | { readonly answer: unknown }
  | Checkpointed
  | { readonly failure: Failure }
)

type Answer = ThreadReply extends infer R ? (R extends unknown ? Omit<R, 'id'> : never) : never

/** Opens the database, and answers requests one after another until it is asked to close. */
async function serve(port: MessagePort, { path, mode, migrate, signals, ...more }: ThreadOptions): Promise<void> {
  const db =
    mode === 'read' ? openForReading(path) : openForWriting(path, { migrate: migrate && mode === 'write', ...more })
  const answer = await ANSWERS[mode](db, signals)
  const reply = (message: ThreadReply) => port.postMessage(message)

  port.on('message', (request: ThreadRequest) => {
    if ('close' in request) {
      db.close()
      reply({ id: request.id, answer: null })
      return port.close()
    }
    try {
      reply({ id: request.id, ...answer(request) } as ThreadReply)
    } catch (error) {
      reply({ id: request.id, failure: failureOf(error) })
    }
  })
  reply({ id: 0, answer: null })
}

type AnswerRequest = (request: ThreadRequest) => Answer

/** The request handlers of each thread. A thread loads only its own: loading takes most of the start time. */
const ANSWERS: Readonly<
  Record<ThreadOptions['mode'], (db: DatabaseSync, signals: Signals | null) => Promise<AnswerRequest>>
> = {
  async read(db, signals) {
    const { createQueries } = await import('./queries.ts')
    const queries = createQueries(db, signals)
    return (request) => {
      if (!('ask' in request)) throw new Error('the reading thread only answers questions')
      const [name, args] = request.ask
      return { answer: (queries[name] as (...args: unknown[]) => unknown)(...args) }
    }
  },
  async write(db, signals) {
    const { createBatches } = await import('./batch.ts')
    const batches = createBatches(db)
    return (request) => {
      if ('batch' in request) return whileWriting(signals, () => batches.commit(request.batch))
      if ('tick' in request) return batches.tick(request.tick)
      if ('checkpoint' in request) return checkpoint(db, request.checkpoint)
      throw new Error('the writing thread answers no questions')
    }
  },
  async checkpoint(db) {
    return (request) => {
      if ('checkpoint' in request) return checkpoint(db, request.checkpoint)
      throw new Error('this thread only moves the log')
    }
  },
}

if (parentPort) await serve(parentPort, workerData as ThreadOptions)
