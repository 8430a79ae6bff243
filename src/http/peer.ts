import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import type { Express, Request } from 'express'

const outside = new WeakMap<IncomingMessage, string>()

/**
 * Keeps the address as the app sees it that a request comes from: below a router, its `trust proxy` is not that of what is
 * mounted there.
 */
export function keepPeer(request: IncomingMessage): void {
  const { ip } = request as { ip?: unknown }
  const peer = typeof ip === 'string' ? addressIn(ip) : null
  if (peer !== null) outside.set(request, peer)
}

/**
 * The address of the client according to the app's `trust proxy`. It is always an IP address: other text of a client's
 * X-Forwarded-For is never passed on. Empty when unknown.
 */
export function peerOf(request: Request): string {
  const known = outside.get(request)
  if (known !== undefined) return known
  const forwarded = addressIn(request.ip ?? '')
  return forwarded ?? peerOfSocket(request.socket)
}

/** The same for a request that has not reached the app. */
export function peerBefore(app: Express, request: IncomingMessage): string {
  // As Express does first with each request.
  return peerOf(Object.setPrototypeOf(request, app.request) as Request)
}

/** The address at the other end of a connection. */
export function peerOfSocket(socket: Socket): string {
  return addressIn(socket.remoteAddress ?? '') ?? ''
}

/** Some proxies add a port; dual-stack sockets show IPv4 as `::ffff:1.2.3.4`. */
function addressIn(text: string): string | null {
  const [, bracketed, withPort] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(text) ?? []
  const address = bracketed ?? withPort ?? text
  if (!isIP(address)) return null
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)
  return mapped ? mapped[1]! : address.replace(/%.*$/, '')
}
