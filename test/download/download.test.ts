import { getEventListeners, once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createOutboundFetch } from '../../src/outbound/fetch.ts'
import { NO_PROXIES } from '../../src/outbound/proxy.ts'
import { CERTIFICATE } from '../support/certificate.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { downloads, failure, MIB, neverAborts, plain, read, serve, serveRaw, wholeFailure } from './support.ts'

describe('a download', () => {
  it('sends no credentials and asks for no compression', async () => {
    let headers = {}
    const { port } = await serve((request, response) => {
      headers = request.headers
      response.end('x')
    })
    await read((await downloads()(`http://user:password@127.0.0.1:${port}/?signature=x#fragment`, plain)).body)
    expect(headers).not.toHaveProperty('authorization')
    expect(headers).toMatchObject({ 'accept-encoding': 'identity' })
  })

  it('speaks HTTP/1.1, also to who would rather speak HTTP/2', async () => {
    const before = getCACertificates('default')
    setDefaultCACertificates([...before, CERTIFICATE.cert])
    onTestFinished(() => setDefaultCACertificates(before))
    const server = createSecureServer({ ...CERTIFICATE, allowHTTP1: true }, (request, response) =>
      response.end(request.httpVersion),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
    expect(String(await read((await downloads()(url, plain)).body))).toBe('1.1')
    const { fetch, close } = createOutboundFetch(NO_PROXIES)
    onTestFinished(close)
    expect(await (await fetch(url)).text()).toBe('1.1')
  })

  it('keeps the type that the storage says, if it is one', async () => {
    const { port } = await serve((request, response) => {
      if (request.url !== '/none')
        response.setHeader('content-type', request.url === '/long' ? 'x'.repeat(5_000) : 'a/b')
      response.end('x')
    })
    for (const [path, type] of [
      ['some', 'a/b'],
      ['none', null],
      ['long', null],
    ]) {
      const { contentType, body } = await downloads()(`http://127.0.0.1:${port}/${path}`, plain)
      await read(body)
      expect([path, contentType]).toEqual([path, type])
    }
  })

  it.each([401, 403, 404, 410])('%i means that the link has expired', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end('<Error/>'))
    expect((await failure(downloads()(`http://127.0.0.1:${port}/`, plain))).kind).toBe('expired')
  })

  it.each([
    ['<Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message></Error>', 'expired'],
    ['<Error><Code>RequestExpired</Code></Error>', 'expired'],
    ['{"error":{"message":"The SAS token has EXPIRED"}}', 'expired'],
    ['<Error><Code>TokenRefreshRequired</Code></Error>', 'expired'],
    ['<Error><Code>InvalidArgument</Code></Error>', 'failed'],
    ['', 'failed'],
    [`${' '.repeat(5000)}ExpiredToken`, 'failed'],
  ])('400 with %j means %s', async (body, kind) => {
    const { port } = await serve((_request, response) => response.writeHead(400).end(body))
    expect((await failure(downloads()(`http://127.0.0.1:${port}/`, plain))).kind).toBe(kind)
  })

  it('looks at the page of an error within the deadline of an answer, and at its beginning alone', async () => {
    const { port } = await serve((request, response) => {
      response.writeHead(400)
      if (request.url === '/endless') setInterval(() => response.write('x'.repeat(1000)), 1).unref()
      else response.write('Expi')
    })
    const download = downloads({ answerTimeout: 100 })
    expect(await failure(download(`http://127.0.0.1:${port}/endless`, plain))).toMatchObject({ kind: 'failed' })
    expect(['failed', 'timeout']).toContain((await failure(download(`http://127.0.0.1:${port}/hangs`, plain))).kind)
  })

  it.each([400, 402, 405, 407, 408, 418, 429, 500, 502, 503, 504, 599])('%i means try again', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end())
    const error = await failure(downloads()(`http://127.0.0.1:${port}/`, plain))
    expect(error).toMatchObject({ kind: 'failed', message: `the storage answered ${status}`, retryAfter: undefined })
  })

  it.each([201, 202, 204, 205, 206, 207, 226])('%i is no file', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end(status === 204 ? '' : 'part'))
    expect(await wholeFailure(downloads(), `http://127.0.0.1:${port}/`)).toMatchObject({
      kind: 'failed',
      message: `the storage answered ${status}, which is not a complete file`,
    })
  })

  it('fails when the file is empty, however that is said', async () => {
    const heads = [
      'content-length: 0\r\n\r\n',
      'connection: close\r\n\r\n',
      'transfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ]
    const { port } = await serveRaw((socket, path) => socket.end(`HTTP/1.1 200 OK\r\n${heads[Number(path.slice(1))]}`))
    for (const [at] of heads.entries())
      expect(await wholeFailure(downloads(), `http://127.0.0.1:${port}/${at}`)).toMatchObject({
        kind: 'failed',
        message: 'the storage sent an empty file',
      })
  })
})

describe('what a download waits for', () => {
  it('is a connection, headers, and the next piece: each has an end', async () => {
    const { port } = await serveRaw((socket, path) => {
      if (path === '/half-head') socket.write('HTTP/1.1 200 OK\r\ncontent-le')
      if (path === '/half-body') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      if (path === '/informs') setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 10).unref()
    })
    const download = downloads({ answerTimeout: 200, idleTimeout: 200 })
    for (const path of ['silent', 'half-head', 'half-body', 'informs'])
      expect([path, (await wholeFailure(download, `http://127.0.0.1:${port}/${path}`)).kind]).toEqual([path, 'timeout'])
  })

  it('may not be slower than 64 KiB/s over five minutes; time that its reader takes does not count', async () => {
    const clock = createManualClock()
    let send = () => {}
    const { port } = await serve((_request, response) => {
      response.write('slow')
      send = () => void response.write('slow')
    })
    const { body } = await downloads({ clock })(`http://127.0.0.1:${port}/`, plain)
    const chunks = body[Symbol.asyncIterator]()
    await chunks.next()
    clock.advance(600_000)
    send()
    expect((await chunks.next()).done).toBe(false)
    const next = failure(chunks.next() as Promise<unknown>)
    clock.advance(300_000)
    send()
    expect(await next).toMatchObject({ kind: 'timeout', message: expect.stringContaining('slower than 64 KiB/s') })
  })

  it('ends with its signal: before it is connected, before an answer, and in a body', async () => {
    const { port } = await serveRaw((socket, path) => {
      if (path === '/body') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')
      asked()
    })
    let asked = () => {}
    const hangs = (() => {}) as never
    const attempts: [url: string, isAsked: boolean, download: ReturnType<typeof downloads>][] = [
      ['https://storage.example/', false, downloads({ lookup: hangs })],
      [`http://127.0.0.1:${port}/`, true, downloads()],
      [`http://127.0.0.1:${port}/body`, true, downloads()],
    ]
    for (const [url, isAsked, download] of attempts) {
      const stop = new AbortController()
      const request = new Promise<void>((resolve) => {
        asked = resolve
      })
      const failed = wholeFailure(download, url, { signal: stop.signal, maxBytes: MIB })
      if (isAsked) await request
      stop.abort()
      expect(await failed).toMatchObject({ kind: 'failed', message: 'the download was interrupted' })
      expect(getEventListeners(stop.signal, 'abort')).toEqual([])
    }
    const stopped = { signal: AbortSignal.abort(), maxBytes: MIB }
    expect((await failure(downloads()(`http://127.0.0.1:${port}/`, stopped))).message).toMatch('interrupted')
  })
})

describe('the size of a download', () => {
  it('is looked at before a byte is read, and counted while it comes', async () => {
    const { port } = await serve((request, response) => {
      if (request.url === '/declared') response.writeHead(200, { 'content-length': 1001 }).write('x')
      else response.end('x'.repeat(request.url === '/more' ? 1001 : 1000))
    })
    const limits = { signal: neverAborts, maxBytes: 1000 }
    const download = downloads()
    expect((await failure(download(`http://127.0.0.1:${port}/declared`, limits))).kind).toBe('too_large')
    expect((await wholeFailure(download, `http://127.0.0.1:${port}/more`, limits)).kind).toBe('too_large')
    expect(await read((await download(`http://127.0.0.1:${port}/right`, limits)).body)).toHaveLength(1000)
  })

  it('is that of what is inflated: 2.5 MB that become 1 GB are stopped at the bound', async () => {
    const member = gzipSync(Buffer.alloc(64 * MIB))
    const bomb = Buffer.concat(Array.from({ length: 16 }, () => member))
    const { port } = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
    const { body } = await downloads()(`http://127.0.0.1:${port}/`, { signal: neverAborts, maxBytes: 10 * MIB })
    let bytes = 0
    const reading = async () => {
      for await (const chunk of body) bytes += chunk.byteLength
    }
    expect((await failure(reading())).kind).toBe('too_large')
    expect(bytes).toBeLessThanOrEqual(10 * MIB)
  })

  it('is bounded on the wire too: compressed data that becomes nothing has an end, and codings within codings', async () => {
    const nothing = gzipSync('')
    const { port } = await serve((request, response) => {
      const twice = request.url === '/twice'
      response.writeHead(200, { 'content-encoding': twice ? 'gzip, gzip' : 'gzip' })
      const piece = Buffer.concat(Array.from({ length: 5000 }, () => nothing))
      if (twice) return response.end(gzipSync(Buffer.concat(Array.from({ length: 100 }, () => piece))))
      const write = () => {
        if (!response.destroyed) response.write(piece, () => setImmediate(write))
      }
      write()
    })
    const limits = { signal: neverAborts, maxBytes: 10_000 }
    for (const path of ['', 'twice'])
      expect((await wholeFailure(downloads(), `http://127.0.0.1:${port}/${path}`, limits)).kind).toBe('too_large')
  })
})

describe('what a download held is let go', () => {
  it('on whatever way it ends: no listener is left on its signal, and no connection but those for the next one', async () => {
    const { port, open } = await serveRaw((socket, path) => {
      const answers: Record<string, string> = {
        '/fine': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
        '/empty': 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
        '/away': 'HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 100\r\n\r\nhalf',
        '/denied': 'HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\nhalf',
        '/large': 'HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nhalf',
        '/codings': 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip,br,gzip,br,gzip\r\ncontent-length: 100\r\n\r\nhalf',
        '/damaged': 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 100000\r\n\r\n\x1f\x8bhalf',
        '/unread': 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
        '/returned': 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
        '/garbage': 'SSH-2.0-OpenSSH\r\n',
        '/part': 'HTTP/1.1 206 Partial\r\ncontent-length: 100\r\n\r\nhalf',
        '/closed': '',
      }
      const answer = Buffer.from(answers[path]!, 'latin1')
      if (answer.length === 0) socket.destroy()
      else socket.write(answer)
    })
    const download = downloads({ idleTimeout: 100 })
    const signal = new AbortController().signal
    const closed = async () => {
      while ([...open].length > 0) await Promise.all([...open].map((socket) => once(socket, 'close')))
    }
    const options = { signal, maxBytes: MIB }
    for (const path of ['empty', 'away', 'denied', 'large', 'codings', 'damaged', 'garbage', 'part', 'closed'])
      await wholeFailure(download, `http://127.0.0.1:${port}/${path}`, options)
    const { body } = await download(`http://127.0.0.1:${port}/returned`, options)
    await body[Symbol.asyncIterator]().return?.()
    const unread = await download(`http://127.0.0.1:${port}/unread`, options)
    // The one connection that is kept is closed when it has been idle for some seconds.
    await closed()
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect((await failure(read(unread.body))).kind).toBe('failed')
  })

  it('over 10,000 downloads', async () => {
    const { port } = await serve((request, response) => response.writeHead(request.url === '/no' ? 403 : 200).end('ok'))
    const download = downloads()
    const { signal } = new AbortController()
    const one = async (number: number) => {
      const path = number % 4 === 0 ? 'no' : 'yes'
      await download(`http://127.0.0.1:${port}/${path}`, { signal, maxBytes: MIB })
        .then(({ body }) => read(body))
        .catch(() => {})
    }
    for (let number = 0; number < 10_000; number += 50) {
      await Promise.all(Array.from({ length: 50 }, (_one, at) => one(number + at)))
      expect(getEventListeners(signal, 'abort').length).toBe(0)
    }
  })
})
