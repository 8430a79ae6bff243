import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

/** A complete answer in JSON, made once. A string, not a Buffer: Node then writes head and body in one piece. */
export type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: string
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  const body = JSON.stringify(value)
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

export const BAD_REQUEST = json(400, { error: 'bad_request' })
export const NOT_FOUND = json(404, { error: 'not_found' })
export const TIMEOUT = json(408, { error: 'timeout' })
export const TOO_LARGE = json(413, { error: 'payload_too_large' })
export const HEADERS_TOO_LARGE = json(431, { error: 'headers_too_large' })
export const FAILED = json(500, { error: 'internal_error' })
export const UNAVAILABLE = json(503, { error: 'unavailable' }, { 'retry-after': '5' })

/** Sockets whose last answer is on its way. */
const closing = new WeakSet<Socket>()

/** True once the last answer of this connection was sent: nothing more is answered or reported for it. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket)
}

/** Sends a reply. Does nothing when the request was answered already, or its connection is closing or closed. */
export function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent || response.destroyed) return
  if (response.socket && closing.has(response.socket)) return
  response.writeHead(reply.status, reply.headers).end(reply.body)
}

/** Sends a refusal. Keeps the connection if the request has arrived whole; else closes it, see `sendAndClose`. */
export function sendRefusal(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (hasArrived(request)) send(response, reply)
  else sendAndClose(request, response, reply)
}

/** Answers at once, although the body may not have arrived whole, and destroys the connection. */
export function sendAndClose(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const { socket } = request
  send(response, { ...reply, headers: { ...reply.headers, connection: 'close' } })
  if (hasArrived(request)) return
  // What of the body is parsed already.
  request.on('data', () => {})
  linger(socket)
}

/** Node calls a request complete only after it was handled, even one that has no body. */
function hasArrived({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0)
}

/** Writes a reply to a connection that has no response object, because its bytes could not be parsed; destroys it. */
export function writeAndClose(socket: Socket, reply: Reply): void {
  if (!socket.writable) return void socket.destroy()
  const headers = Object.entries({ ...reply.headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  socket.end(`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${headers.join('')}\r\n${reply.body}`)
  linger(socket)
}

/** How long a client that still sends is read from, so that it can receive the answer. */
const LINGER_MS = 1_000

/**
 * Destroys the connection when the client has closed its side, or after a moment. Closing at once with unread bytes
 * would reset the connection, and the answer with it. What still arrives is discarded and never parsed.
 */
function linger(socket: Socket): void {
  if (closing.has(socket)) return
  closing.add(socket)
  // Node would destroy the socket as soon as the answer is written.
  socket.destroySoon = () => socket.end()
  stopParsing(socket)
  // A listener for data takes the bytes from the parser; the parser's own listener must not get them back.
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
 * Stops the parser at the next request in the piece that it is parsing. One piece can hold thousands of requests, which
 * Node would all build (68 ms for 64 KiB), because it offers no way to stop. Two is what Node's own callback returns for
 * an upgrade: what follows is no HTTP.
 */
export function stopParsing(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: unknown } | null }
  if (parser) parser.onIncoming = () => 2
}
