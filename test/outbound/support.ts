import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { onTestFinished } from 'vitest'
import { CERTIFICATE } from '../support/certificate.ts'

/** What a proxy does with a request. `tunnel`: the port on 127.0.0.1 that every name leads to. */
export type ProxyBehaviour =
  | { readonly is: 'tunnel'; readonly to: number }
  | { readonly is: 'refuse'; readonly status: number }
  /** Takes the request and says nothing. */
  | { readonly is: 'hang' }
  /** Says yes, and passes nothing on. */
  | { readonly is: 'mute' }
  | { readonly is: 'reset' }
  /** Half an answer that has no length, then a reset. */
  | { readonly is: 'half' }

export type TestProxy = {
  readonly port: number
  /** `CONNECT host:port` or `GET http://…`, and the Proxy-Authorization of each. */
  readonly seen: { request: string; authorization: string | undefined }[]
  readonly open: ReadonlySet<Socket>
}

/** A real proxy on 127.0.0.1, stopped with the test. */
export async function startProxy(behaviour: ProxyBehaviour): Promise<TestProxy> {
  const seen: TestProxy['seen'] = []
  const open = new Set<Socket>()
  const server = createServer((request, response) => {
    seen.push({ request: `${request.method} ${request.url}`, authorization: request.headers['proxy-authorization'] })
    if (behaviour.is === 'reset') request.socket.resetAndDestroy()
    else if (behaviour.is === 'half')
      request.socket.write('HTTP/1.1 200 OK\r\n\r\nhalf', () => request.socket.resetAndDestroy())
    else if (behaviour.is === 'refuse') response.writeHead(behaviour.status).end('no')
    else if (behaviour.is === 'tunnel') response.end('by way of the proxy')
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('error', () => {}).on('close', () => open.delete(socket))
  })
  server.on('connect', (request, socket: Socket) => {
    seen.push({ request: `CONNECT ${request.url}`, authorization: request.headers['proxy-authorization'] })
    if (behaviour.is === 'hang') return
    if (behaviour.is === 'reset') return void socket.resetAndDestroy()
    if (behaviour.is === 'refuse')
      return void socket.end(`HTTP/1.1 ${behaviour.status} No\r\ncontent-length: 0\r\n\r\n`)
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (behaviour.is !== 'tunnel') return
    const target = connect(behaviour.to, '127.0.0.1')
    target.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => target.destroy())
    socket.pipe(target).pipe(socket)
  })
  const port = await listening(server)
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
  })
  return { port, seen, open }
}

/** A server over TLS for api.example and storage.example, which this process trusts until the test ends. */
export async function startSecure(listener: Parameters<typeof createSecureServer>[1]): Promise<number> {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, CERTIFICATE.cert])
  onTestFinished(() => setDefaultCACertificates(before))
  const server = createSecureServer(CERTIFICATE, listener)
  const port = await listening(server as unknown as Server)
  onTestFinished(() => server.closeAllConnections())
  return port
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}
