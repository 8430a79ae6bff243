import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

/** A complete answer, built once. A string, not a Buffer: Node then writes head and body in one chunk. */
export type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: string
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return jsonText(status, JSON.stringify(value), headers)
}

/** The same of a text that is JSON already. */
export function jsonText(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      ...headers,
    },
    body,
  }
}

/** A page. */
export function html(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply {
  const length = Buffer.byteLength(body)
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', 'content-length': length, ...headers }, body }
}

/** Leads a browser on with a GET. */
export function redirect(location: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status: 303, headers: { location, 'content-length': 0, ...headers }, body: '' }
}

export const BAD_REQUEST = json(400, { error: 'bad_request' })
export const NOT_FOUND = json(404, { error: 'not_found' })
export const TIMEOUT = json(408, { error: 'timeout' })
export const TOO_LARGE = json(413, { error: 'payload_too_large' })
export const HEADERS_TOO_LARGE = json(431, { error: 'headers_too_large' })
export const FAILED = json(500, { error: 'internal_error' })
export const UNAVAILABLE = json(503, { error: 'unavailable' }, { 'retry-after': '5' })

/** Sockets whose last answer is being sent. */
const closing = new WeakSet<Socket>()

/** True once the last answer of this connection was sent: nothing further is answered or reported for it. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket)
}

/** Sends a reply. Does nothing when the request has been answered, or its connection is closing or closed. */
export function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent || response.destroyed) return
  if (response.socket && closing.has(response.socket)) return
  response.writeHead(reply.status, reply.headers).end(reply.body)
}

/** Sends a refusal. Keeps the connection if the whole request has arrived; else closes it, see `sendAndClose`. */
export function sendRefusal(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (hasArrived(request)) send(response, reply)
  else sendAndClose(request, response, reply)
}

/** Answers at once, even if the body has not arrived completely, and destroys the connection. */
export function sendAndClose(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const { socket } = request
  send(response, { ...reply, headers: { ...reply.headers, connection: 'close' } })
  if (hasArrived(request)) return
  // Discards the part of the body that is already parsed.
  request.on('data', () => {})
  linger(socket)
}

/** Node marks a request complete only after it was handled, even without a body. */
function hasArrived({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0)
}

/** Writes a reply to a connection without a response object, because its bytes could not be parsed; destroys it. */
export function writeAndClose(socket: Socket, reply: Reply): void {
  if (!socket.writable) return void socket.destroy()
  const headers = Object.entries({ ...reply.headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  socket.end(`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${headers.join('')}\r\n${reply.body}`)
  linger(socket)
}

/** How long a client that still sends is read from, so that it can receive the answer, ms. */
const LINGER_MS = 1_000

/**
 * Destroys the connection when the client has closed its side, or after LINGER_MS. Closing at once with unread bytes
 * would reset the connection and lose the answer. Data that still arrives is discarded unparsed.
 */
function linger(socket: Socket): void {
  if (closing.has(socket)) return
  closing.add(socket)
  // Node would destroy the socket as soon as the answer is written.
  socket.destroySoon = () => socket.end()
  stopParsing(socket)
  // A listener for data detaches the parser from the bytes; the parser's own listener must not get them again.
  socket.on('data', discard)
  for (const listener of socket.listeners('data'))
    if (listener !== discard) socket.off('data', listener as (chunk: Buffer) => void)
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
}

function discard(): void {}

/**
 * Stops the parser at the next request in the current chunk. One chunk can hold thousands of requests, all of which
 * Node would build (68 ms for 64 KiB), because it offers no way to stop. 2 is the value that Node's own callback
 * returns for an upgrade: the rest is not HTTP.
 */
export function stopParsing(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: unknown } | null }
  if (parser) parser.onIncoming = () => 2
}
