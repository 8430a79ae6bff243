import { createHmac, randomBytes } from 'node:crypto'
import { EventEmitter, once as eventOnce } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** What the storage holds under a name. A function makes the body anew for every download (for large ones). */
type StoredObject = {
  readonly contentType: string
  /** The body is sent unchanged, whatever coding is declared. */
  readonly contentEncoding?: string
  readonly body: Buffer | (() => AsyncIterable<Buffer>)
}

/** The fault of the next download of an object. */
export type StorageFault =
  /** Half of a body, then nothing. */
  | 'stall'
  | 'truncate'
  | 'expired'
  /** No answer. */
  | 'hang'
  /** An empty file. */
  | 'empty'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

/** Object storage with signed links that expire, like the storage that results link to. */
export type Storage = {
  put(name: string, object: StoredObject): void
  /** Deletes all objects and resets the counters. */
  clear(): void
  /** A fresh link, valid for `lifetime` ms. */
  link(name: string): string
  fail(name: string, ...faults: StorageFault[]): void
  /** Downloads so far, by name. */
  readonly downloads: ReadonlyMap<string, number>
  /** Resolves at the next request for this object. */
  nextDownload(name: string): Promise<void>
  /** The number of requests with an Authorization header: there must be none. */
  readonly authorized: number
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
}

export function createStorage(options: { base: () => string; lifetime: number }): Storage {
  const key = randomBytes(16)
  const objects = new Map<string, StoredObject>()
  const faults = new Map<string, StorageFault[]>()
  const downloads = new Map<string, number>()
  const asked = new EventEmitter()
  let authorized = 0

  const signatureOf = (name: string, expires: string) =>
    createHmac('sha256', key).update(`${name}\n${expires}`).digest('hex')

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://storage')
    const name = decodeURIComponent(url.pathname.slice('/storage/'.length))
    const expires = url.searchParams.get('expires') ?? ''
    downloads.set(name, (downloads.get(name) ?? 0) + 1)
    asked.emit(name)
    if (request.headers.authorization !== undefined) {
      authorized++
      return refuse(response, 400, 'InvalidArgument: only one auth mechanism allowed')
    }
    const fault = faults.get(name)?.shift()
    const good = url.searchParams.get('signature') === signatureOf(name, expires) && Number(expires) > Date.now()
    if (!good || fault === 'expired') return refuse(response, 403, 'AccessDenied: request has expired')
    if (fault === 'hang') return
    if (fault === 'empty') return void response.writeHead(200, { 'content-length': 0 }).end()
    if (typeof fault === 'object') {
      for (const [header, value] of Object.entries(fault.headers ?? {})) response.setHeader(header, value)
      return refuse(response, fault.status, 'storage fault', fault.body)
    }
    const object = objects.get(name)
    if (!object) return refuse(response, 404, 'NoSuchKey')
    await sendObject(response, object, fault)
  }

  return {
    clear() {
      for (const map of [objects, faults, downloads]) map.clear()
    },
    put: (name, object) => void objects.set(name, object),
    link(name) {
      const expires = String(Date.now() + options.lifetime)
      return `${options.base()}/storage/${encodeURIComponent(name)}?expires=${expires}&signature=${signatureOf(name, expires)}`
    },
    fail: (name, ...added) => void faults.set(name, [...(faults.get(name) ?? []), ...added]),
    downloads,
    nextDownload: async (name) => void (await eventOnce(asked, name)),
    get authorized() {
      return authorized
    },
    handle,
  }
}

async function sendObject(
  response: ServerResponse,
  object: StoredObject,
  fault: StorageFault | undefined,
): Promise<void> {
  response.setHeader('content-type', object.contentType)
  if (object.contentEncoding !== undefined) response.setHeader('content-encoding', object.contentEncoding)
  if (typeof object.body === 'function') {
    // A client that disconnects is not an error of the storage.
    await pipeline(Readable.from(object.body()), response).catch(() => {})
    return
  }
  response.setHeader('content-length', object.body.length)
  if (fault === undefined) return void response.end(object.body)
  response.write(object.body.subarray(0, Math.floor(object.body.length / 2)))
  if (fault === 'truncate') setImmediate(() => response.destroy())
}

function refuse(response: ServerResponse, status: number, message: string, body = `<Error>${message}</Error>`): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
}
