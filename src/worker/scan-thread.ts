import { parentPort, Worker } from 'node:worker_threads'
import { createScanner, NotJson, type Scan } from './scan.ts'

/** Scans a document that arrives in pieces. Throws NotJson, or what the source throws. */
export type ScanDocument = (source: AsyncIterable<Uint8Array>) => Promise<Scan>

/** Documents up to this size are scanned where they are: starting on a thread costs more than it saves. */
const INLINE = 256 * 1024

/** A piece of document `id`, its end, or that no more of it will come. */
type ToThread = { readonly id: number; readonly chunk: Uint8Array | 'end' | 'dropped' }
type FromThread = { readonly id: number } & (
  | { readonly taken: true }
  | { readonly scan: Scan }
  | { readonly notJson: string }
)

/** Scans large documents on a thread of its own, so that seconds of parsing hold up no webhook. */
export function createScanThread(): { scan: ScanDocument; close(): Promise<void> } {
  let worker: Worker | null = null
  let lastId = 0
  const waiting = new Map<number, { resolve(message: FromThread): void; reject(error: Error): void }>()

  function thread(): Worker {
    if (worker) return worker
    const started = new Worker(new URL(import.meta.url), { name: 'scan' })
    started.unref()
    started.on('message', (message: FromThread) => waiting.get(message.id)?.resolve(message))
    const fail = (error: Error) => {
      if (worker === started) worker = null
      for (const { reject } of waiting.values()) reject(error)
    }
    started.on('error', fail)
    started.on('exit', () => fail(new Error('the scanning thread ended')))
    worker = started
    return started
  }

  /** One piece at a time: the next leaves when the last was taken, which bounds the memory. */
  function send(id: number, chunk: Uint8Array | 'end'): Promise<FromThread> {
    return new Promise<FromThread>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      const message: ToThread = { id, chunk }
      thread().postMessage(message)
    }).finally(() => waiting.delete(id))
  }

  async function scanOnThread(head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): Promise<Scan> {
    const id = ++lastId
    let ended = false
    try {
      for (const chunk of head) accepted(await send(id, alone(chunk)))
      for (let next = await rest.next(); !next.done; next = await rest.next())
        accepted(await send(id, alone(next.value)))
      const last = accepted(await send(id, 'end'))
      ended = true
      return last!
    } finally {
      if (!ended) {
        worker?.postMessage({ id, chunk: 'dropped' } satisfies ToThread)
        await rest.return?.()
      }
    }
  }

  async function scan(source: AsyncIterable<Uint8Array>): Promise<Scan> {
    const chunks = source[Symbol.asyncIterator]()
    const head: Uint8Array[] = []
    let bytes = 0
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      head.push(next.value)
      bytes += next.value.byteLength
      if (bytes > INLINE) return scanOnThread(head, chunks)
    }
    const scanner = createScanner()
    for (const chunk of head) scanner.write(chunk)
    return scanner.end()
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

/** A view of a larger buffer would take all of it along to the thread. */
function alone(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk)
}

function accepted(message: FromThread): Scan | null {
  if ('notJson' in message) throw new NotJson(message.notJson)
  return 'scan' in message ? message.scan : null
}

if (parentPort) {
  const port = parentPort
  const scanners = new Map<number, ReturnType<typeof createScanner>>()
  port.on('message', ({ id, chunk }: ToThread) => {
    const answer = (message: FromThread) => port.postMessage(message)
    const scanner = scanners.get(id) ?? createScanner()
    try {
      if (chunk === 'dropped') return scanners.delete(id)
      if (chunk !== 'end') {
        scanner.write(chunk)
        scanners.set(id, scanner)
        return answer({ id, taken: true })
      }
      scanners.delete(id)
      return answer({ id, scan: scanner.end() })
    } catch (error) {
      scanners.delete(id)
      if (error instanceof NotJson) return answer({ id, notJson: error.message })
      throw error
    }
  })
}
