import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DatabaseRefused } from '../inbox.ts'
import type { Committed } from './batch.ts'
import type { Checkpointed } from './checkpoint.ts'
import type { Failure } from './failure.ts'
import type { ThreadOptions, ThreadReply, ThreadRequest } from './thread.ts'

/** The thread's module: `.ts` like this one, `.js` in the built package. */
const THREAD = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)

/** Sends requests to a database thread: one promise per request. */
export type Connection = {
  request<R extends RequestBody>(message: R): Promise<ReplyTo<R>>
  close(): Promise<void>
}

type RequestBody = ThreadRequest extends infer R ? (R extends unknown ? Omit<R, 'id'> : never) : never

type ReplyTo<R> = R extends { batch: unknown }
  ? Committed
  : R extends { tick: unknown }
    ? { readonly changed: boolean; readonly paused: boolean }
    : R extends { checkpoint: unknown }
      ? Checkpointed
      : { readonly answer: unknown }

/** An error of the database itself. `code` is SQLite's primary result code; 0 for others. */
export class DatabaseError extends Error {
  readonly code: number
  constructor(failure: Failure) {
    super(failure.message)
    this.name = 'DatabaseError'
    this.code = failure.code
  }
}

/**
 * Starts a thread and waits until its database is open. `onDeath` is called once if the thread dies without being
 * closed: pending requests are rejected, and further ones fail.
 */
export async function connect(options: ThreadOptions, onDeath: (error: Error) => void): Promise<Connection> {
  const worker = new Worker(THREAD, {
    workerData: options,
    name: `sqlite-${options.mode}`,
  })
  const waiting = new Map<number, { resolve(reply: ThreadReply): void; reject(error: Error): void }>()
  let lastId = 0
  let state: 'opening' | 'open' | 'closing' | 'dead' = 'opening'

  const opened = wait(0)
  worker.on('message', (reply: ThreadReply) => {
    const waiter = waiting.get(reply.id)
    waiting.delete(reply.id)
    if ('failure' in reply) waiter?.reject(new DatabaseError(reply.failure))
    else waiter?.resolve(reply)
  })
  worker.on('error', (error: Error) => die(error))
  worker.on('exit', () => die(new Error('the database thread ended')))

  function die(error: Error): void {
    const was = state
    state = 'dead'
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    if (was === 'open') onDeath(error)
  }

  function wait<T>(id: number): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve: resolve as (reply: ThreadReply) => void, reject })
    })
  }

  function request<R extends RequestBody>(message: R): Promise<ReplyTo<R>> {
    if (state === 'dead') return Promise.reject(new Error('the database thread has ended'))
    const id = ++lastId
    const reply = wait<ReplyTo<R>>(id)
    worker.postMessage({ id, ...message })
    return reply
  }

  try {
    await opened
  } catch (error) {
    await worker.terminate()
    // Errors lose their class between threads.
    if (error instanceof Error && error.name === 'DatabaseRefused') throw new DatabaseRefused(error.message)
    throw error
  }
  state = 'open'

  return {
    request,
    async close() {
      if (state === 'closing' || state === 'dead') return
      state = 'closing'
      const closed = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
      await request({ close: true })
      await closed
    },
  }
}
