import { Worker } from 'node:worker_threads'
import { DocumentCrashed, DocumentTooComplex, NotJson, ReadInterrupted } from './errors.ts'

/**
 * The threads that read documents. A document has a thread to itself while there are threads enough; beyond that they
 * share. When a thread ends, the document that was alone on it is to blame. When several were, none is: they fail with
 * ReadInterrupted, and for a while afterwards no documents share a thread, so that the culprit is alone the next time.
 */

export type PoolOptions = {
  /** Memory of a thread, MB. A document that needs more ends it. */
  readonly oldGenerationMb?: number
}

/** A piece of a document, its end (asked for again until the last portion came), or that no more of it will come. */
export type ToThread = {
  readonly id: number
  readonly role: unknown
  /** Pieces lie in memory that both sides share: a gigabyte of copies would be a gigabyte of garbage. */
  readonly piece: { readonly memory: SharedArrayBuffer; readonly bytes: number } | 'end' | 'dropped'
}
export type FromThread = { readonly id: number } & (
  | { readonly found: readonly unknown[]; readonly last: boolean }
  | { readonly notJson: string }
  | { readonly tooComplex: { readonly bound: string; readonly detail: string } }
)

/** Threads that are started before documents share them: each takes 10 to 15 MB. */
const MAX_THREADS = 4
/** Idle threads that are kept for the next documents. */
const MAX_IDLE_THREADS = 2
/** So many documents do not share threads after some that did were interrupted. */
const CAREFUL_DOCUMENTS = 1_000
/** What goes to the thread at once. */
const PIECE_BYTES = 64 * 1024
/** Young-generation limit, MB. Tokens are short-lived, so V8's default of 48 would only waste memory. */
const YOUNG_GENERATION_MB = 2
/** Old-generation limit, MB: four documents at the bounds of bounds.ts fit. */
const OLD_GENERATION_MB = 768

type Thread = {
  readonly worker: Worker
  /** The documents on it, and who waits for an answer about each. */
  readonly documents: Map<number, Waiting | null>
  /** Why it ended. */
  ended: Error | null
  /** Set when it ended by itself with one document on it. */
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
      ? new DocumentCrashed(`reading the document ended its thread: ${cause.message}`, { cause })
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
    /** The piece that the thread has now. */
    let pending: Promise<FromThread> | null = null
    let isOver = false
    let isDropped = false

    function send(piece: ToThread['piece']): Promise<FromThread> {
      const answer = new Promise<FromThread>((resolve, reject) => {
        if (thread.ended) return reject(blame(thread, id))
        // Whoever still waits for a piece when the document is dropped is told too.
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
        // A command has nothing else that keeps the process alive while it waits.
        thread.worker.ref()
        thread.worker.postMessage({ id, role, piece } satisfies ToThread)
      }).finally(() => {
        if (thread.documents.has(id)) thread.documents.set(id, null)
        if ([...thread.documents.values()].every((waiting) => waiting === null)) thread.worker.unref()
      })
      // Whoever takes it gets the error; nobody may, when the document is dropped.
      answer.catch(() => {})
      return answer
    }

    /** What the thread found in the piece before. One piece is read while the next is filled. */
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

    /** The document is no longer on its thread. */
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

    /** The thread may still be busy with it, and is not free of blame for it before it answers. */
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
