import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * A connection costs about 10 KiB, and up to 32 KiB more while somebody sends it a head and the part of a body that is
 * not counted: 160 MiB for all of these. Svix and a load balancer in front need some hundred.
 */
const MAX_CONNECTIONS = 4_096
/** Descriptors that connections leave for the worker: downloads, database, results. */
const RESERVED_DESCRIPTORS = 512
/** Even where the system allows very few descriptors. */
const MIN_CONNECTIONS = 64

/** The open connections of a server, the one whose last request began longest ago first. */
export type Connections = {
  /**
   * Takes a new connection. Beyond the limit another one is destroyed: of those that owe no answer, and else of all, the
   * one that has been without a new request for longest.
   */
  add(socket: Socket): void
  /** A request begins. False when the connection's last request is not answered yet. */
  begin(socket: Socket, response: ServerResponse): boolean
  /** The response of the connection's latest request. */
  latest(socket: Socket): ServerResponse | null
  /** Lets the answers of requests that are under way close their connections. */
  closeWithAnswers(): void
  destroyAll(): void
}

/**
 * Keeps at most `max` connections. A full house must not keep honest clients out, nor cut off what they send or get: they
 * send their request at once, so those that only hold a connection are destroyed for them.
 */
export function createConnections(max: number, onEvicted: (socket: Socket) => void): Connections {
  const open = new Map<Socket, ServerResponse | null>()

  return {
    add(socket) {
      // Node remembers the address from now on; it cannot be asked for once the client has gone.
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

/** Whether a request has come that is not answered to its end. */
function isOwed(response: ServerResponse | null | undefined): boolean {
  return response != null && !response.writableFinished
}

/** How many connections this process may hold: as many as its descriptors allow, but not more than its memory should. */
export function connectionLimit(descriptors = descriptorLimit()): number {
  return Math.max(MIN_CONNECTIONS, Math.min(MAX_CONNECTIONS, descriptors - RESERVED_DESCRIPTORS))
}

/** The soft limit of open files of this process; without a bound where the system does not say. */
function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
