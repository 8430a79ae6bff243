import { parentPort, Worker } from 'node:worker_threads'
import { type Reading, type Role, readingOf } from './places.ts'
import { createScanner, NotJson } from './scan.ts'

/** Reads a document that arrives in pieces. Throws NotJson, or what the source throws. */
export type ScanDocument = (source: AsyncIterable<Uint8Array>, role: Role) => Promise<Reading>

/** Documents up to this size are scanned where they are: starting on a thread costs more than it saves. */
const INLINE = 256 * 1024

/** For a thread that makes nothing but tokens, which are garbage at once, MB: V8 would take 48. */
const YOUNG = 2
/** For the links of the largest document; one that needs more ends the thread, and its attempt. MB. */
const OLD = 512

/** What goes to the thread at once. */
const PIECE = 64 * 1024

/**
 * A piece of document `id`, its end, or that no more of it will come. Pieces lie in memory that both sides share: a
 * gigabyte of copies would be a gigabyte of garbage.
 */
type ToThread = { readonly id: number; readonly role: Role; readonly chunk: SharedPiece | 'end' | 'dropped' }
type SharedPiece = { readonly memory: SharedArrayBuffer; readonly bytes: number }
type Waiting = { readonly on: Worker; resolve(message: FromThread): void; reject(error: Error): void }
type FromThread = { readonly id: number } & (
  | { readonly taken: true }
  | { readonly reading: Reading }
  | { readonly notJson: string }
)

/** Scans large documents on a thread of its own, so that seconds of parsing hold up no webhook. */
export function createScanThread(): { scan: ScanDocument; close(): Promise<void> } {
  let worker: Worker | null = null
  let lastId = 0
  const waiting = new Map<number, Waiting>()

  function thread(): Worker {
    if (worker) return worker
    const started = new Worker(new URL(import.meta.url), {
      name: 'scan',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG, maxOldGenerationSizeMb: OLD },
    })
    started.unref()
    started.on('message', (message: FromThread) => waiting.get(message.id)?.resolve(message))
    const fail = (error: Error) => {
      if (worker === started) worker = null
      for (const { on, reject } of waiting.values()) if (on === started) reject(error)
    }
    started.on('error', fail)
    started.on('exit', () => fail(new Error('the scanning thread ended')))
    worker = started
    return started
  }

  /** One piece at a time: the next leaves when the last was taken, which bounds the memory. */
  function send(on: Worker, id: number, role: Role, chunk: SharedPiece | 'end'): Promise<FromThread> {
    return new Promise<FromThread>((resolve, reject) => {
      // A document cannot go on in another thread than it began in.
      if (worker !== on) return reject(new Error('the scanning thread ended'))
      waiting.set(id, { on, resolve, reject })
      const message: ToThread = { id, role, chunk }
      on.postMessage(message)
    }).finally(() => waiting.delete(id))
  }

  async function scanOnThread(
    role: Role,
    head: readonly Uint8Array[],
    rest: AsyncIterator<Uint8Array>,
  ): Promise<Reading> {
    const id = ++lastId
    const on = thread()
    const memory = new SharedArrayBuffer(PIECE)
    const shared = new Uint8Array(memory)
    let ended = false
    async function sendAll(chunk: Uint8Array): Promise<void> {
      for (let at = 0; at < chunk.byteLength; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE)
        shared.set(piece)
        accepted(await send(on, id, role, { memory, bytes: piece.byteLength }))
      }
    }
    try {
      for (const chunk of head) await sendAll(chunk)
      for (let next = await rest.next(); !next.done; next = await rest.next()) await sendAll(next.value)
      const last = accepted(await send(on, id, role, 'end'))
      ended = true
      return last!
    } finally {
      if (!ended) {
        on.postMessage({ id, role, chunk: 'dropped' } satisfies ToThread)
        await rest.return?.()
      }
    }
  }

  async function scan(source: AsyncIterable<Uint8Array>, role: Role): Promise<Reading> {
    const chunks = source[Symbol.asyncIterator]()
    const head: Uint8Array[] = []
    let bytes = 0
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      // A source may use one buffer for all its pieces.
      head.push(new Uint8Array(next.value))
      bytes += next.value.byteLength
      if (bytes > INLINE) return scanOnThread(role, head, chunks)
    }
    const scanner = createScanner({ linksWanted: role !== 'values' })
    for (const chunk of head) scanner.write(chunk)
    return readingOf(scanner.end(), role)
  }

  return {
    scan,
    async close() {
      const last = worker
      worker = null
      await last?.terminate()
    },
  }
}

function accepted(message: FromThread): Reading | null {
  if ('notJson' in message) throw new NotJson(message.notJson)
  return 'reading' in message ? message.reading : null
}

if (parentPort) {
  const port = parentPort
  const scanners = new Map<number, ReturnType<typeof createScanner>>()
  port.on('message', ({ id, role, chunk }: ToThread) => {
    const answer = (message: FromThread) => port.postMessage(message)
    const scanner = scanners.get(id) ?? createScanner({ linksWanted: role !== 'values' })
    try {
      if (chunk === 'dropped') return scanners.delete(id)
      if (chunk !== 'end') {
        scanner.write(new Uint8Array(chunk.memory, 0, chunk.bytes))
        scanners.set(id, scanner)
        return answer({ id, taken: true })
      }
      scanners.delete(id)
      return answer({ id, reading: readingOf(scanner.end(), role) })
    } catch (error) {
      scanners.delete(id)
      if (error instanceof NotJson) return answer({ id, notJson: error.message })
      throw error
    }
  })
}
