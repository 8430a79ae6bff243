import type { IncomingMessage, ServerResponse } from 'node:http'
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

export function send(response: ServerResponse, reply: Reply): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(reply.status, reply.headers).end(reply.body)
}

/** Connections whose last answer is on its way. What a client has sent behind that request is not worked on. */
const closing = new WeakSet<Socket>()

export function isClosing(request: IncomingMessage): boolean {
  return closing.has(request.socket)
}

/** How long a client that still sends is read from, so that it gets to see the answer, ms. */
const LINGER = 1_000

/**
 * Answers at once although the body has not arrived whole, and closes the connection. What still comes is thrown away
 * for a moment: closing with unread bytes would reset the connection, and the answer with it.
 */
export function sendAndClose(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (request.complete) return send(response, reply)
  const { socket } = request
  closing.add(socket)
  // Node would destroy the socket as soon as the answer is written.
  socket.destroySoon = () => socket.end()
  request.on('data', () => {})
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
  send(response, { ...reply, headers: { ...reply.headers, connection: 'close' } })
}
