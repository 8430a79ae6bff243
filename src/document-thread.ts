import { setPriority } from 'node:os'
import { parentPort, Worker, workerData } from 'node:worker_threads'

/**
 * Reading large JSON documents as streams, on a thread: seconds of parsing hold up no webhook. Whoever has something to
 * find in a document gives a `Reader`; its module is loaded on both sides, and calls `serveDocuments` for the thread's.
 */

/** Reads a document piece by piece. Both may throw NotJson. */
export type Reader<Found, End> = {
  /** What this piece brought to light. The piece's memory is used again. */
  write(piece: Uint8Array): Found
  end(): End
}

/** The document is not JSON, or broke off. */
export class NotJson extends Error {}

export type DocumentThread<Role, Found, End> = {
  /**
   * Reads a document: yields what each piece brought, returns what its end did. The next piece is read when the caller
   * asks, so that memory stays bounded. Throws NotJson, or what the source throws.
   */
  read(source: AsyncIterable<Uint8Array>, role: Role): AsyncGenerator<Found, End, void>
  close(): Promise<void>
}

/** Documents up to this size are read where they are: starting on a thread costs more than it saves. */
const INLINE = 256 * 1024
/** What goes to the thread at once. */
const PIECE = 64 * 1024
/** A thread that makes nothing but tokens has garbage at once; V8 would take 48. MB. */
const YOUNG = 2
/** A document that needs more ends the thread, and its reading. MB. */
const OLD = 512
/** The thread gives way to webhooks where the system knows priorities of threads (nice 10 of 19). */
const NICE = 10

/**
 * A piece of document `id`, its end, or that no more of it will come. Pieces lie in memory that both sides share: a
 * gigabyte of copies would be a gigabyte of garbage.
 */
type ToThread = { readonly id: number; readonly role: unknown; readonly chunk: SharedPiece | 'end' | 'dropped' }
type SharedPiece = { readonly memory: SharedArrayBuffer; readonly bytes: number }
type FromThread = { readonly id: number } & (
  | { readonly found: unknown }
  | { readonly end: unknown }
  | { readonly notJson: string }
)
type Waiting = { readonly on: Worker; resolve(message: FromThread): void; reject(error: Error): void }

/** `module`: the URL of the module that calls `serveDocuments(createReader)`. Its thread starts with the first large document. */
export function createDocumentThread<Role, Found, End>(
  module: string,
  createReader: (role: Role) => Reader<Found, End>,
): DocumentThread<Role, Found, End> {
  let worker: Worker | null = null
  let lastId = 0
  const waiting = new Map<number, Waiting>()

  function thread(): Worker {
    if (worker) return worker
    const started = new Worker(new URL(module), {
      name: 'documents',
      workerData: { servesDocuments: module },
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG, maxOldGenerationSizeMb: OLD },
    })
    started.unref()
    started.on('message', (message: FromThread) => waiting.get(message.id)?.resolve(message))
    const fail = (error: Error) => {
      if (worker === started) worker = null
      for (const { on, reject } of waiting.values()) if (on === started) reject(error)
    }
    started.on('error', fail)
    started.on('exit', () => fail(new Error('the thread that reads documents ended')))
    worker = started
    return started
  }

  /** One piece at a time: the next leaves when the last was taken. */
  async function send(on: Worker, id: number, role: Role, chunk: SharedPiece | 'end'): Promise<FromThread> {
    const answer = await new Promise<FromThread>((resolve, reject) => {
      // A document cannot go on in another thread than it began in.
      if (worker !== on) return reject(new Error('the thread that reads documents ended'))
      waiting.set(id, { on, resolve, reject })
      // A command has nothing else that keeps the process alive while it waits.
      on.ref()
      on.postMessage({ id, role, chunk } satisfies ToThread)
    }).finally(() => {
      waiting.delete(id)
      if (waiting.size === 0) on.unref()
    })
    if ('notJson' in answer) throw new NotJson(answer.notJson)
    return answer
  }

  async function* readOnThread(role: Role, source: AsyncIterable<Uint8Array>): AsyncGenerator<Found, End, void> {
    const id = ++lastId
    const on = thread()
    const memory = new SharedArrayBuffer(PIECE)
    const shared = new Uint8Array(memory)
    let ended = false
    try {
      for await (const chunk of source) {
        for (let at = 0; at < chunk.byteLength; at += PIECE) {
          const piece = chunk.subarray(at, at + PIECE)
          shared.set(piece)
          yield ((await send(on, id, role, { memory, bytes: piece.byteLength })) as { found: Found }).found
        }
      }
      const last = (await send(on, id, role, 'end')) as { end: End }
      ended = true
      return last.end
    } finally {
      if (!ended) on.postMessage({ id, role, chunk: 'dropped' } satisfies ToThread)
    }
  }

  async function* read(source: AsyncIterable<Uint8Array>, role: Role): AsyncGenerator<Found, End, void> {
    const chunks = source[Symbol.asyncIterator]()
    const head: Uint8Array[] = []
    try {
      let bytes = 0
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        // A source may use one buffer for all its pieces.
        head.push(new Uint8Array(next.value))
        bytes += next.value.byteLength
        if (bytes > INLINE) return yield* readOnThread(role, joined(head, chunks))
      }
      const reader = createReader(role)
      for (const chunk of head) yield reader.write(chunk)
      return reader.end()
    } finally {
      await chunks.return?.()
    }
  }

  return {
    read,
    async close() {
      const last = worker
      worker = null
      await last?.terminate()
    },
  }
}

async function* joined(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* head
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** The thread's side. Does nothing anywhere else. */
export function serveDocuments<Role, Found, End>(
  module: string,
  createReader: (role: Role) => Reader<Found, End>,
): void {
  const data = workerData as { servesDocuments?: string } | null
  if (!parentPort || data?.servesDocuments !== module) return
  const port = parentPort
  const readers = new Map<number, Reader<Found, End>>()
  // Elsewhere it would be the whole process's priority.
  if (process.platform === 'linux') setPriority(NICE)

  port.on('message', ({ id, role, chunk }: ToThread) => {
    const answer = (message: FromThread) => port.postMessage(message)
    if (chunk === 'dropped') return readers.delete(id)
    const reader = readers.get(id) ?? createReader(role as Role)
    readers.set(id, reader)
    try {
      if (chunk !== 'end') return answer({ id, found: reader.write(new Uint8Array(chunk.memory, 0, chunk.bytes)) })
      readers.delete(id)
      answer({ id, end: reader.end() })
    } catch (error) {
      readers.delete(id)
      if (!(error instanceof NotJson)) throw error
      answer({ id, notJson: error.message })
    }
  })
}
