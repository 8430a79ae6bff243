import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { Express } from 'express'
import type { EventBus } from '../telemetry/events.ts'
import { type Connections, connectionLimit, createConnections } from './connections.ts'
import { createParserErrors } from './parser-errors.ts'
import { peerBefore, peerOfSocket } from './peer.ts'
import { BAD_REQUEST, sendAndClose, stopParsing, writeAndClose } from './replies.ts'

/** A listening server. */
export type Listening = {
  readonly port: number
  /**
   * From now on every answer has `Connection: close`, so that clients reconnect elsewhere. Idle connections stay open.
   */
  drain(): void
  /**
   * Stops accepting connections, and resolves when the open ones have closed; after `grace` ms they are destroyed.
   * Never takes longer than that.
   */
  close(grace: number): Promise<void>
}

/** Times in ms; `connections`: the maximum number of open ones. */
export type Limits = {
  /**
   * Longer than that of any proxy in front (Google's load balancers keep 600 s), so that the proxy closes idle
   * connections.
   */
  readonly keepAliveTimeout: number
  /** From the first byte of a request, or the start of the connection, to the end of the head. */
  readonly headersTimeout: number
  /** From there to the end of the body. The body reader has its own deadline; both answer with the same 408. */
  readonly requestTimeout: number
  /** Without a byte in either direction while an answer is owed or being sent: the client does not read. */
  readonly idleTimeout: number
  readonly checkInterval: number
  readonly connections: number
}

const LIMITS: Limits = {
  keepAliveTimeout: 620_000,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  idleTimeout: 30_000,
  checkInterval: 1_000,
  connections: connectionLimit(),
}

const MAX_HEADER_BYTES = 16 * 1024
/**
 * Connections that can arrive in one turn of the event loop, before those destroyed for them are closed: Node's
 * backlog.
 */
const BURST = 512

/**
 * Listens on `host` and `port` (0: any free one). Answers everything that never reaches `app`: bytes that are not HTTP,
 * requests without a usable target, pipelined requests. Rejects with a message that says what to do about `setting`, the
 * setting of the port.
 */
export function listen(
  app: Express,
  host: string,
  port: number,
  events: EventBus,
  changed: Partial<Limits> = {},
  setting = 'PORT',
): Promise<Listening> {
  const limits = { ...LIMITS, ...changed }
  let draining = false

  const connections = createConnections(limits.connections, (socket) =>
    refused(0, 'too_many_connections', peerOfSocket(socket)),
  )
  const server = createServer(
    {
      keepAliveTimeout: limits.keepAliveTimeout,
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      connectionsCheckingInterval: limits.checkInterval,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Node's own answer would have no body.
      requireHostHeader: false,
    },
    handle,
  )
  server.timeout = limits.idleTimeout
  server.maxConnections = limits.connections + BURST

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    if (!connections.begin(socket, response)) return cutOff(request)
    if (draining) response.setHeader('connection', 'close')
    const fault = faultOf(request)
    if (fault === null) return app(request, response)
    refused(BAD_REQUEST.status, 'bad_request', peerBefore(app, request), fault)
    sendAndClose(request, response, BAD_REQUEST)
  }

  /** No client needs pipelining, and it would make the server keep unanswered requests. */
  function cutOff(request: IncomingMessage): void {
    const { socket } = request
    if (socket.destroyed) return
    refused(0, 'pipelined', peerBefore(app, request))
    stopParsing(socket)
    socket.destroy()
  }

  /** A CONNECT removes the connection from the server's control. */
  function refuseConnect(request: IncomingMessage, socket: Socket): void {
    socket.on('error', () => {})
    const last = connections.latest(socket)
    if (last && !last.writableFinished) return cutOff(request)
    refused(BAD_REQUEST.status, 'bad_request', peerBefore(app, request), 'connect')
    writeAndClose(socket, BAD_REQUEST)
  }

  function refused(status: number, reason: string, peer: string, code?: string): void {
    events.emit('refused', { endpoint: 'unknown', status, reason, peer, ...(code === undefined ? {} : { code }) })
  }

  server.on('connection', connections.add)
  server.on('clientError', createParserErrors(connections, refused))
  // Node would answer with an empty 417. The expectation may be ignored.
  server.on('checkExpectation', handle)
  // Node would close the connection without an answer.
  server.on('connect', (request, socket) => refuseConnect(request, socket as Socket))
  server.on('drop', (dropped) => refused(0, 'too_many_connections', dropped?.remoteAddress ?? ''))

  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explainListenError(error, host, port, setting)))
    server.listen(port, host, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        drain() {
          draining = true
          connections.closeWithAnswers()
        },
        close: (grace) => close(server, connections, grace),
      })
    })
  })
}

/** A target is a path of printable ASCII; Express would parse others as URLs, and Node warns about these on stderr. */
const TARGET = /^\/(?!\/)[!-"$-~]*$/

/** The code of the fault that makes a parsed request invalid for this server; null for a valid one. */
function faultOf(request: IncomingMessage): string | null {
  // The parser accepts versions that no client uses this way.
  if (request.httpVersionMajor !== 1) return 'http_version'
  if (request.headers.host === undefined && request.httpVersionMinor > 0) return 'no_host'
  return TARGET.test(request.url ?? '') ? null : 'target'
}

/**
 * Not the HTTP server's own `close`, which would destroy idle connections at once, and requests on their way with them.
 */
function close(server: Server, connections: Connections, grace: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      connections.destroyAll()
      // Stops the timer that checks for slow requests.
      server.close()
      resolve()
    }
    const timer = setTimeout(finish, grace)
    NetServer.prototype.close.call(server, finish)
  })
}

function explainListenError(error: NodeJS.ErrnoException, host: string, port: number, setting: string): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`port ${port} is in use: stop the process that listens there, or set ${setting}`, { cause: error })
  if (error.code === 'EACCES')
    return new Error(`port ${port} may not be used by this user: set ${setting} to 1024 or above`, { cause: error })
  if (error.code === 'EADDRNOTAVAIL')
    return new Error(`${host} is not an address of this machine: set HOST`, { cause: error })
  return error
}
