import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Certificate } from './certificates.ts'

/** What stands between Svix and the service, and does something wrong on purpose. */

/** What arrives on its way to the service. */
export type Passing = { method: string; path: string; headers: Record<string, string | string[]>; body: Buffer }

export type Fault = {
  /** Changes what is passed on. */
  readonly change?: (passing: Passing) => void | Promise<void>
  /** Answers instead of the service; false: it is passed on. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Changes the status that comes back. */
  readonly status?: (status: number) => number
}

/** A proxy in front of `target`, stopped with the test. Returns its URL. */
export async function startProxy(target: string, fault: Fault = {}, certificate?: Certificate): Promise<string> {
  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (fault.answer?.(incoming, response)) return
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const passing: Passing = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: { ...(incoming.headers as Passing['headers']) },
      body: Buffer.concat(chunks),
    }
    await fault.change?.(passing)
    const { method, path, headers, body } = passing
    const length = method === 'POST' ? { 'content-length': String(body.length) } : {}
    const onward = request(new URL(path, target), { method, headers: { ...headers, ...length }, agent: false })
    onward.on('response', (answer) => {
      const status = answer.statusCode ?? 502
      response.writeHead(fault.status?.(status) ?? status, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.writeHead(502).end('Bad Gateway'))
    onward.end(body)
  }
  const listener = (incoming: IncomingMessage, response: ServerResponse) =>
    void handle(incoming, response).catch(() => response.destroy())
  const server = certificate ? createTlsServer(certificate, listener) : createServer(listener)
  const port = await listening(server)
  return certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
}

/** A server of bytes, which need not be HTTP. Returns its URL. */
export async function startBytes(onConnection: (socket: Socket) => void): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  return `http://127.0.0.1:${await listening(server)}`
}

/** Listens until the test ends, which no connection outlives. */
export async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return (server.address() as AddressInfo).port
}
