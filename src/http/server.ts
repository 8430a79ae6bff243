import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { isClosing, json } from './answers.ts'

/** A server that listens. */
export type Listening = {
  readonly port: number
  /** Answers go out with `Connection: close` from now on: clients come back elsewhere. */
  drain(): void
  /** Takes no connections any more, and resolves when those there are have ended; after `grace` ms they are cut. */
  close(grace: number): Promise<void>
}

/** Longer than the 60 s that load balancers keep idle connections: they, not we, end them. */
const KEEP_ALIVE = 75_000
const HEADERS_TIMEOUT = 10_000
/** Longer than headers and the body's own deadline together, which answers with a 408 of ours. */
const REQUEST_TIMEOUT = 25_000

/** Listens on `host` and `port` (0: any free one). Rejects with a message that says what to do. */
export function listen(listener: RequestListener, host: string, port: number): Promise<Listening> {
  let draining = false
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE,
      headersTimeout: HEADERS_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      if (isClosing(request)) return
      if (draining) response.setHeader('connection', 'close')
      listener(request, response)
    },
  )
  return new Promise((resolve, reject) => {
    server.on('clientError', refuseUnreadable)
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)))
    server.listen(port, host, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        drain() {
          draining = true
          server.closeIdleConnections()
        },
        close: (grace) => close(server, grace),
      })
    })
  })
}

const UNREADABLE = json(400, { error: 'bad_request' })

/** What is no HTTP gets an answer in JSON too, while the connection can still take one. */
function refuseUnreadable(_error: Error, socket: Duplex): void {
  if (!socket.writable) return void socket.destroy()
  const headers = Object.entries({ ...UNREADABLE.headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  socket.end(`HTTP/1.1 400 Bad Request\r\n${headers.join('')}\r\n${UNREADABLE.body}`)
}

function close(server: Server, grace: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), grace)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`port ${port} is taken: stop what listens there, or set PORT`, { cause: error })
  if (error.code === 'EACCES')
    return new Error(`port ${port} may not be used by this user: set PORT to 1024 or above`, { cause: error })
  if (error.code === 'EADDRNOTAVAIL')
    return new Error(`${host} is no address of this machine: set HOST`, { cause: error })
  return error
}
