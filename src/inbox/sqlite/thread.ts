import type { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Change, type Committed, createBatches, type Failure, failureOf } from './batch.ts'
import { type Checkpointed, checkpoint } from './checkpoint.ts'
import { createQueries, type Queries } from './queries.ts'
import { openForReading, openForWriting } from './schema.ts'

/**
 * A thread that holds a database connection. SQLite is synchronous and a commit waits for the disk: here that blocks
 * nobody. The writing thread takes batches, each one transaction; the reading thread takes single questions; a third one
 * moves the log into the database.
 */

export type ThreadOptions = {
  readonly path: string
  readonly mode: 'write' | 'read' | 'checkpoint'
  /** Whether the schema is brought up to date: for the holder of the instance lock. */
  readonly migrate: boolean
}

/** What a thread is started with. `bell`: an Int32 that is raised and notified for each request. */
export type ThreadData = ThreadOptions & { readonly bell: SharedArrayBuffer }

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

if (parentPort) serve(workerData as ThreadData)

function serve({ path, mode, migrate, bell }: ThreadData): void {
  const port = parentPort!
  const db = mode === 'read' ? openForReading(path) : openForWriting(path, { migrate: migrate && mode === 'write' })
  const answer = mode === 'read' ? answerQuestions(db) : mode === 'write' ? applyChanges(db) : moveLog(db)
  const reply = (message: ThreadReply) => port.postMessage(message)

  reply({ id: 0, answer: null })
  // Waits on the bell rather than for events: a thread wakes from that several times sooner, and has nothing else to do.
  const rung = new Int32Array(bell)
  let heard = 0
  for (;;) {
    Atomics.wait(rung, 0, heard)
    // Read before the messages are: a bell that rings in between is heard next time.
    heard = Atomics.load(rung, 0)
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      const request = next.message as ThreadRequest
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
    }
  }
}

function answerQuestions(db: DatabaseSync): (request: ThreadRequest) => Answer {
  const queries = createQueries(db)
  return (request) => {
    if (!('ask' in request)) throw new Error('the reading thread only answers questions')
    const [name, args] = request.ask
    return { answer: (queries[name] as (...args: unknown[]) => unknown)(...args) }
  }
}

function applyChanges(db: DatabaseSync): (request: ThreadRequest) => Answer {
  const batches = createBatches(db)
  return (request) => {
    if ('batch' in request) return batches.commit(request.batch)
    if ('tick' in request) return batches.tick(request.tick)
    if ('checkpoint' in request) return checkpoint(db, request.checkpoint)
    throw new Error('the writing thread answers no questions')
  }
}

function moveLog(db: DatabaseSync): (request: ThreadRequest) => Answer {
  return (request) => {
    if ('checkpoint' in request) return checkpoint(db, request.checkpoint)
    throw new Error('this thread only moves the log')
  }
}
