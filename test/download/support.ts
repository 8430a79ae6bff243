import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createRawServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createDownloader, type Download, DownloadError, type DownloaderOptions } from '../../src/download/download.ts'

export const neverAborts = new AbortController().signal
export const MIB = 1024 * 1024

/** What a download is given where nothing depends on it. */
export const plain = { signal: neverAborts, maxBytes: 64 * MIB }

/** A storage over HTTP, stopped with the test. */
export async function serve(listener: RequestListener): Promise<{ port: number; requests: () => number }> {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    listener(request, response)
  })
  const port = await listening(server)
  onTestFinished(() => server.closeAllConnections())
  return { port, requests: () => requests }
}

/** A storage that sends bytes as the test likes, stopped with the test. `open`: the connections that are open. */
export async function serveRaw(onRequest: (socket: Socket, path: string) => void) {
  const open = new Set<Socket>()
  const server = createRawServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => {})
    socket.on('data', (head) => onRequest(socket, head.toString('latin1').split(' ')[1] ?? ''))
  })
  const port = await listening(server)
  onTestFinished(() => {
    for (const socket of open) socket.destroy()
  })
  return { port, open }
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Downloads, from 127.0.0.1 unless said otherwise, stopped with the test. */
export function downloads(
  options: Partial<Omit<DownloaderOptions, 'allowPrivateHosts'>> & { allow?: string[] } = {},
): Download {
  const { allow = ['127.0.0.1'], ...rest } = options
  const downloader = createDownloader({ allowPrivateHosts: new Set(allow), clock: systemClock, ...rest })
  onTestFinished(() => downloader.close())
  return downloader.download
}

export async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body))
}

export async function failure(run: Promise<unknown>): Promise<DownloadError> {
  const error = await run.then(
    () => new Error('it was downloaded'),
    (thrown) => thrown,
  )
  if (error instanceof DownloadError) return error
  throw error
}

/** The failure of a whole download, whether it is opened or read. */
export async function wholeFailure(download: Download, url: string, options = plain): Promise<DownloadError> {
  return failure(download(url, options).then(({ body }) => read(body)))
}
