import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * A connection costs about 10 KiB, and up to 32 KiB more while its client sends a head and the uncounted part of a
 * body: 160 MiB for all connections. Svix and a load balancer need some hundred.
 */
const MAX_CONNECTIONS = 4_096
/** Descriptors reserved for the worker: downloads, database, results. */
const RESERVED_DESCRIPTORS = 512
/** Used even if the system allows very few descriptors. */
const MIN_CONNECTIONS = 64

/** The open connections of a server, ordered by the start of their last request, oldest first. */
export type Connections = {
  /**
   * Adds a new connection. Beyond the limit another one is destroyed: among those that await no answer, or else among
   * all, the one without a new request for the longest time.
   */
  add(socket: Socket): void
  /** A request begins. Returns false when the connection's last request is not answered yet. */
  begin(socket: Socket, response: ServerResponse): boolean
  /** The response of the connection's latest request. */
  latest(socket: Socket): ServerResponse | null
  /** Lets running requests close their connections with their answers. */
  closeWithAnswers(): void
  destroyAll(): void
}

/**
 * Keeps at most `max` connections. At the limit, honest clients must neither be kept out nor lose what they send or
 * receive. They send their request at once, so connections that are only held open are destroyed for them.
 */
export function createConnections(max: number, onEvicted: (socket: Socket) => void): Connections {
  const open = new Map<Socket, ServerResponse | null>()

  return {
    add(socket) {
      // Node caches the address from now on; it is unavailable once the client has gone.
      void socket.remoteAddress
      open.set(socket, null)
      socket.once('close', () => open.delete(socket))
      if (open.size <= max) return
      const others = open.entries().filter(([other]) => other !== socket)
      const [oldest] = others.find(([, response]) => !isOwed(response)) ?? open.entries().next().value!
      open.delete(oldest)
      onEvicted(oldest)
      oldest.destroy()
    },
    begin(socket, response) {
      if (isOwed(open.get(socket))) return false
      open.delete(socket)
      if (!socket.destroyed) open.set(socket, response)
      return true
    },
    latest: (socket) => open.get(socket) ?? null,
    closeWithAnswers() {
      for (const response of open.values())
        if (response && !response.headersSent) response.setHeader('connection', 'close')
    },
    destroyAll() {
      for (const socket of open.keys()) socket.destroy()
    },
  }
}

/** Whether a request has arrived that is not answered completely. */
function isOwed(response: ServerResponse | null | undefined): boolean {
  return response != null && !response.writableFinished
}

/**
 * The number of connections that this process may hold: as many as its descriptors allow, up to the limit for memory.
 */
export function connectionLimit(descriptors = descriptorLimit()): number {
  return Math.max(MIN_CONNECTIONS, Math.min(MAX_CONNECTIONS, descriptors - RESERVED_DESCRIPTORS))
}

/** The soft limit of open files of this process; infinite where the system does not report one. */
function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
