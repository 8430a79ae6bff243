import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { DocumentTooComplex, NotJson, ReadInterrupted } from './errors.ts'
import { createThreadPool, type FromThread, type PoolOptions, type ToThread } from './thread-pool.ts'

/**
 * Reads large JSON documents as streams on threads, so that seconds of parsing never delay a webhook. A caller provides
 * a parser; the parser's module is loaded on both sides and calls `serveDocuments` for the thread's side.
 */

/**
 * Reads a document piece by piece. Both methods may throw NotJson and DocumentTooComplex. The memory of a piece is
 * reused.
 */
export type DocumentParser<Found> = {
  /** Returns what was found in this piece. */
  write(piece: Uint8Array): readonly Found[]
  /**
   * Returns what was found at the end, in portions. Each is sent to the other side at once and blocks it while it is
   * received.
   */
  end(): Iterable<readonly Found[]>
}

/** A document that is being read. Its pieces are written one at a time; reading ends with `end` or `drop`. */
export type OpenDocument<Found> = {
  /**
   * Accepts a piece, whose memory may be reused afterwards, and returns what was found since the last call. Waits while
   * the thread is behind. Throws what `end` throws.
   */
  write(piece: Uint8Array): Promise<readonly Found[]>
  /** @throws NotJson @throws DocumentTooComplex @throws DocumentCrashed @throws ReadInterrupted */
  end(): AsyncIterable<readonly Found[]>
  /** Ends the reading: no more pieces will be written, and nobody waits for findings. */
  drop(): void
}

export type DocumentThread<Role, Found> = {
  open(role: Role): OpenDocument<Found>
  close(): Promise<void>
}

/**
 * Documents up to this size are read on the calling thread (some ms): starting on another thread costs more than it
 * saves.
 */
const MAX_INLINE_BYTES = 256 * 1024

/** `module`: the URL of the module that calls `serveDocuments(createParser)`. Threads start with large documents. */
export function createDocumentThread<Role, Found>(
  module: string,
  createParser: (role: Role) => DocumentParser<Found>,
  options: PoolOptions = {},
): DocumentThread<Role, Found> {
  const pool = createThreadPool(module, options)

  function open(role: Role): OpenDocument<Found> {
    let head: Uint8Array[] = []
    let bytes = 0
    let remote: OpenDocument<Found> | null = null
    let isDropped = false

    return {
      async write(piece) {
        if (remote) return remote.write(piece)
        bytes += piece.byteLength
        head.push(new Uint8Array(piece))
        if (bytes <= MAX_INLINE_BYTES) return []
        remote = pool.open(role) as OpenDocument<Found>
        const found: Found[] = []
        for (const one of head) found.push(...(await remote.write(one)))
        head = []
        return found
      },
      async *end() {
        if (remote) return yield* remote.end()
        if (isDropped) throw new ReadInterrupted('the document was dropped')
        const parser = createParser(role)
        for (const one of head) yield parser.write(one)
        yield* parser.end()
      },
      drop() {
        head = []
        isDropped = true
        remote?.drop()
      },
    }
  }

  return { open, close: pool.close }
}

/** The thread yields to webhooks on systems with thread priorities (nice 10 of 19). */
const NICE_LEVEL = 10

/** The thread's side. Does nothing outside such a thread. */
export function serveDocuments<Role, Found>(module: string, createParser: (role: Role) => DocumentParser<Found>): void {
  const data = workerData as { servesDocuments?: string } | null
  if (!parentPort || data?.servesDocuments !== module) return
  const port = parentPort
  const parsers = new Map<number, DocumentParser<Found>>()
  const ends = new Map<number, Iterator<readonly Found[]>>()
  // On other systems this would set the whole process's priority.
  if (process.platform === 'linux') setPriority(NICE_LEVEL)

  function forget(id: number): void {
    parsers.delete(id)
    ends.delete(id)
  }

  /** Handles one message; `last` means that no more messages follow. */
  function read(
    id: number,
    role: unknown,
    piece: Exclude<ToThread['piece'], 'dropped'>,
  ): { found: unknown; last: boolean } {
    const parser = parsers.get(id) ?? createParser(role as Role)
    parsers.set(id, parser)
    if (piece !== 'end') return { found: parser.write(new Uint8Array(piece.memory, 0, piece.bytes)), last: false }
    const portions = ends.get(id) ?? parser.end()[Symbol.iterator]()
    ends.set(id, portions)
    const next = portions.next()
    return { found: next.done ? [] : next.value, last: next.done === true }
  }

  port.on('message', ({ id, role, piece }: ToThread) => {
    const answer = (reply: FromThread) => port.postMessage(reply)
    if (piece === 'dropped') {
      forget(id)
      return answer({ id, found: [], last: true })
    }
    try {
      const { found, last } = read(id, role, piece)
      if (last) forget(id)
      answer({ id, found: found as readonly unknown[], last })
    } catch (error) {
      forget(id)
      if (error instanceof NotJson) answer({ id, notJson: error.message })
      else if (error instanceof DocumentTooComplex)
        answer({ id, tooComplex: { bound: error.bound, detail: error.detail } })
      else throw error
    }
  })
}
