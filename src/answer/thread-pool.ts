import { Worker } from 'node:worker_threads'
import { DocumentCrashed, DocumentTooComplex, NotJson, ReadInterrupted } from './errors.ts'

/**
 * The threads that read documents. A document has a thread to itself while enough threads are free; otherwise documents
 * share threads. When a thread crashes with one document on it, that document is the cause. With several, none is
 * blamed: they fail with ReadInterrupted, and for a while afterwards no documents share a thread, so that the cause is
 * alone the next time.
 */

export type PoolOptions = {
  /** Memory of a thread, MB. A document that needs more crashes it. */
  readonly oldGenerationMb?: number
}

/** A piece of a document, its end (repeated until the last portion was received), or a notice that it was dropped. */
export type ToThread = {
  readonly id: number
  readonly role: unknown
  /** Pieces lie in shared memory: copying a gigabyte would leave a gigabyte of garbage. */
  readonly piece: { readonly memory: SharedArrayBuffer; readonly bytes: number } | 'end' | 'dropped'
}
export type FromThread = { readonly id: number } & (
  | { readonly found: readonly unknown[]; readonly last: boolean }
  | { readonly notJson: string }
  | { readonly tooComplex: { readonly bound: string; readonly detail: string } }
)

/** Threads that are started before documents share them; each takes 10 to 15 MB. */
const MAX_THREADS = 4
/** Idle threads that are kept for further documents. */
const MAX_IDLE_THREADS = 2
/** After shared documents were interrupted, this many documents do not share threads. */
const CAREFUL_DOCUMENTS = 1_000
/** Bytes per message to the thread. */
const PIECE_BYTES = 64 * 1024
/** Young-generation limit, MB. Tokens are short-lived, so V8's default of 48 would only waste memory. */
const YOUNG_GENERATION_MB = 2
/** Old-generation limit, MB: four documents at the bounds of bounds.ts fit. */
const OLD_GENERATION_MB = 768

type Thread = {
  readonly worker: Worker
  /** The documents on this thread, and the callback that waits for an answer about each. */
  readonly documents: Map<number, Waiting | null>
  /** The error with which it ended. */
  ended: Error | null
  /** Set when it crashed with one document on it. */
  culprit: number | null
}
type Waiting = { resolve(message: FromThread): void; reject(error: Error): void }

export function createThreadPool(module: string, { oldGenerationMb = OLD_GENERATION_MB }: PoolOptions) {
  const threads = new Set<Thread>()
  let lastId = 0
  let careful = 0
  let closed = false

  function start(): Thread {
    const worker = new Worker(new URL(module), {
      name: 'documents',
      workerData: { servesDocuments: module },
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB, maxOldGenerationSizeMb: oldGenerationMb },
    })
    const thread: Thread = { worker, documents: new Map(), ended: null, culprit: null }
    worker.unref()
    worker.on('message', (message: FromThread) => thread.documents.get(message.id)?.resolve(message))
    worker.on('error', (error) => ended(thread, error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => ended(thread, new Error('the thread that reads documents ended')))
    threads.add(thread)
    return thread
  }

  function ended(thread: Thread, error: Error): void {
    if (thread.ended) return
    thread.ended = error
    threads.delete(thread)
    const ids = [...thread.documents.keys()]
    if (!closed && ids.length === 1) thread.culprit = ids[0]!
    if (!closed && ids.length > 1) careful = CAREFUL_DOCUMENTS
    for (const [id, waiting] of thread.documents) waiting?.reject(blame(thread, id))
  }

  function blame(thread: Thread, id: number): Error {
    const cause = thread.ended ?? new Error('the thread that reads documents was closed')
    return thread.culprit === id
      ? new DocumentCrashed(`reading the document crashed its thread: ${cause.message}`, { cause })
      : new ReadInterrupted(`reading the document was interrupted: ${cause.message}`, { cause })
  }

  /** An idle thread, a new one, or the one with the fewest documents. */
  function choose(): Thread {
    const isCareful = careful > 0
    if (isCareful) careful--
    const fewest = [...threads].sort((a, b) => a.documents.size - b.documents.size)[0]
    if (fewest && (fewest.documents.size === 0 || (!isCareful && threads.size >= MAX_THREADS))) return fewest
    return start()
  }

  function open(role: unknown) {
    const id = ++lastId
    if (closed) throw new ReadInterrupted('the thread that reads documents was closed')
    const thread = choose()
    thread.documents.set(id, null)
    const buffers = [new SharedArrayBuffer(PIECE_BYTES), new SharedArrayBuffer(PIECE_BYTES)]
    let filled = 0
    /** The piece that the thread is reading. */
    let pending: Promise<FromThread> | null = null
    let isOver = false
    let isDropped = false

    function send(piece: ToThread['piece']): Promise<FromThread> {
      const answer = new Promise<FromThread>((resolve, reject) => {
        if (thread.ended) return reject(blame(thread, id))
        // A caller that still waits for a piece when the document is dropped gets an answer, too.
        const before = thread.documents.get(id)
        thread.documents.set(id, {
          resolve(message) {
            before?.resolve(message)
            resolve(message)
          },
          reject(error) {
            before?.reject(error)
            reject(error)
          },
        })
        // Keeps the process alive while it waits: in a command nothing else does.
        thread.worker.ref()
        thread.worker.postMessage({ id, role, piece } satisfies ToThread)
      }).finally(() => {
        if (thread.documents.has(id)) thread.documents.set(id, null)
        if ([...thread.documents.values()].every((waiting) => waiting === null)) thread.worker.unref()
      })
      // The caller of `taken` gets the error; there may be none when the document is dropped.
      answer.catch(() => {})
      return answer
    }

    /** What the thread found in the previous piece. One piece is read while the next is filled. */
    async function taken(): Promise<readonly unknown[]> {
      if (!pending) return []
      try {
        const answer = await pending
        if ('notJson' in answer) throw new NotJson(answer.notJson)
        if ('tooComplex' in answer) throw new DocumentTooComplex(answer.tooComplex.bound, answer.tooComplex.detail)
        pending = null
        return answer.found
      } catch (error) {
        leave()
        throw error
      }
    }

    /** Removes the document from its thread. */
    function leave(): void {
      if (isOver) return
      isOver = true
      thread.documents.delete(id)
      const idle = [...threads].filter(({ documents }) => documents.size === 0)
      if (!thread.ended && thread.documents.size === 0 && idle.length > MAX_IDLE_THREADS) {
        threads.delete(thread)
        void thread.worker.terminate()
      }
    }

    async function flush(): Promise<readonly unknown[]> {
      const found = await taken()
      if (isDropped) throw new ReadInterrupted('the document was dropped')
      if (filled === 0) return found
      pending = send({ memory: buffers[0]!, bytes: filled })
      buffers.reverse()
      filled = 0
      return found
    }

    return {
      async write(piece: Uint8Array): Promise<readonly unknown[]> {
        let found: readonly unknown[] = []
        for (let at = 0; at < piece.byteLength; ) {
          const part = piece.subarray(at, at + PIECE_BYTES - filled)
          new Uint8Array(buffers[0]!, filled).set(part)
          filled += part.byteLength
          at += part.byteLength
          if (filled === PIECE_BYTES) found = [...found, ...(await flush())]
        }
        return found
      },
      async *end(): AsyncGenerator<readonly unknown[]> {
        try {
          yield await flush()
          yield await taken()
          for (let last = false; !last; ) {
            pending = send('end')
            last = await pending.then(
              (answer) => 'last' in answer && answer.last,
              () => true,
            )
            yield await taken()
          }
          leave()
        } finally {
          drop()
        }
      },
      drop,
    }

    /** The thread may still be reading the document, which stays a suspect until the thread answers. */
    function drop(): void {
      if (isOver || isDropped) return
      isDropped = true
      void send('dropped').then(leave, leave)
    }
  }

  return {
    open,
    async close(): Promise<void> {
      closed = true
      await Promise.all([...threads].map(({ worker }) => worker.terminate()))
    },
  }
}
