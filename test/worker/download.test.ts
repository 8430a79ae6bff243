import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createDownloadAgent, isGlobal } from '../../src/worker/addresses.ts'
import { createDownload, DownloadError } from '../../src/worker/download.ts'
import { createManualClock } from '../support/manual-clock.ts'

const never = new AbortController().signal

async function serve(listener: RequestListener): Promise<{ port: number; requests: () => number }> {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    listener(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, requests: () => requests }
}

function downloader(
  allowed: string[] = ['127.0.0.1'],
  options: { idleTimeout?: number; clock?: typeof systemClock } = {},
) {
  const agent = createDownloadAgent({ allowPrivateHosts: new Set(allowed), idleTimeout: options.idleTimeout ?? 60_000 })
  onTestFinished(() => agent.destroy())
  return createDownload(agent, options.clock ?? systemClock)
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function failure(run: Promise<unknown>): Promise<DownloadError> {
  const error = await run.then(
    () => new Error('it was downloaded'),
    (thrown) => thrown,
  )
  if (error instanceof DownloadError) return error
  throw error
}

describe('addresses', () => {
  it.each([
    'http://127.0.0.1:PORT/',
    'https://127.0.0.1:PORT/',
    'https://localhost:PORT/',
    'https://127.1:PORT/',
    'https://2130706433:PORT/',
    'https://0x7f000001:PORT/',
    'https://0177.0.0.1:PORT/',
    'https://[::1]:PORT/',
    'https://[::ffff:127.0.0.1]:PORT/',
    'https://[::ffff:7f00:1]:PORT/',
    'https://0.0.0.0:PORT/',
    'https://[::]:PORT/',
    'https://169.254.169.254/latest/meta-data',
    'https://10.0.0.1/',
    'https://192.168.1.1/',
    'https://172.16.0.1/',
    'https://100.64.0.1/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://255.255.255.255/',
    'https://224.0.0.1/',
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'nonsense',
    '',
  ])('refuses %s', async (url) => {
    const { port, requests } = await serve((_request, response) => response.end('secret'))
    const error = await failure(downloader([])(url.replace('PORT', String(port)), never))
    expect(error.kind).toBe('refused')
    expect(requests()).toBe(0)
  })

  it('refuses a redirect to one, and follows one that is allowed, five at most', async () => {
    const { port } = await serve((request, response) => {
      const hops = Number(new URL(request.url!, 'http://x').searchParams.get('hops'))
      if (request.url!.startsWith('/away'))
        response.writeHead(302, { location: `http://localhost:${port}/secret` }).end()
      else if (hops > 0) response.writeHead(302, { location: `/?hops=${hops - 1}` }).end()
      else response.end('here')
    })
    const download = downloader()
    expect((await failure(download(`http://127.0.0.1:${port}/away`, never))).kind).toBe('refused')
    expect(await read((await download(`http://127.0.0.1:${port}/?hops=5`, never)).body)).toBe('here')
    expect((await failure(download(`http://127.0.0.1:${port}/?hops=6`, never))).message).toMatch('302')
  })

  it('refuses a name by what it resolves to at the moment it is connected to, each time anew', async () => {
    const { port, requests } = await serve((_request, response) => response.end('secret'))
    const answers = [['127.0.0.1'], ['8.8.8.8', '169.254.169.254'], ['::1'], ['::ffff:10.0.0.1']]
    let asked = 0
    const lookup = ((_name: string, _options: unknown, callback: (error: null, addresses: unknown) => void) => {
      const addresses = answers[asked++]!.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      callback(null, addresses)
    }) as never
    const agent = createDownloadAgent({ allowPrivateHosts: new Set(), idleTimeout: 1_000, lookup })
    onTestFinished(() => agent.destroy())
    const download = createDownload(agent, systemClock)
    for (let answer = 0; answer < answers.length; answer++) {
      const error = await failure(download(`https://rebinding.example:${port}/`, never))
      expect([error.kind, error.message]).toEqual(['refused', expect.stringContaining('not public')])
    }
    expect(asked).toBe(answers.length)
    expect(requests()).toBe(0)
  })

  it('allows a host that the settings name, by name or by address', async () => {
    const { port } = await serve((_request, response) => response.end('on-prem'))
    for (const host of ['localhost', '127.0.0.1'])
      expect(await read((await downloader([host])(`http://${host}:${port}/`, never)).body)).toBe('on-prem')
  })

  it('knows what is global', () => {
    for (const address of ['8.8.8.8', '2606:4700:4700::1111', '::ffff:8.8.8.8']) expect(isGlobal(address)).toBe(true)
    for (const address of [
      '192.0.0.8',
      '198.18.0.1',
      '203.0.113.1',
      '::ffff:10.0.0.1',
      '2001:db8::1',
      'ff02::1',
      '64:ff9b::a00:1',
    ])
      expect(isGlobal(address), address).toBe(false)
  })
})

describe('a download', () => {
  it('sends no credentials and asks for no compression', async () => {
    let headers = {}
    const { port } = await serve((request, response) => {
      headers = request.headers
      response.end()
    })
    await read((await downloader()(`http://127.0.0.1:${port}/?signature=x`, never)).body)
    expect(headers).not.toHaveProperty('authorization')
    expect(headers).toMatchObject({ 'accept-encoding': 'identity' })
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('decodes %s that the storage sends all the same', async (encoding, compress) => {
    const { port } = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': encoding }).end(compress('the content')),
    )
    expect(await read((await downloader()(`http://127.0.0.1:${port}/`, never)).body)).toBe('the content')
  })

  it('takes an encoding that is not known for a failure, and aws-chunked for none', async () => {
    const { port } = await serve((request, response) =>
      response.writeHead(200, { 'content-encoding': request.url!.slice(1) }).end('[]'),
    )
    const download = downloader()
    for (const encoding of ['zstd', 'compress', 'gzip,br'])
      expect((await failure(download(`http://127.0.0.1:${port}/${encoding}`, never))).kind).toBe('failed')
    expect(await read((await download(`http://127.0.0.1:${port}/aws-chunked`, never)).body)).toBe('[]')
    // What undici tells a body that is dropped must not end the process.
    await new Promise(setImmediate)
  })

  it.each([403, 404, 410])('%i means that the link has expired', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end('<Error/>'))
    expect((await failure(downloader()(`http://127.0.0.1:${port}/`, never))).kind).toBe('expired')
  })

  it.each([400, 429, 500, 503])('%i means try again', async (status) => {
    const { port } = await serve((_request, response) => response.writeHead(status).end())
    expect((await failure(downloader()(`http://127.0.0.1:${port}/`, never))).kind).toBe('failed')
  })

  it('fails when the body breaks off, and when it is idle for too long', async () => {
    const { port } = await serve((request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half')
      if (request.url === '/truncated') setImmediate(() => response.destroy())
    })
    const download = downloader(['127.0.0.1'], { idleTimeout: 500 })
    for (const path of ['truncated', 'idle']) {
      const { body } = await download(`http://127.0.0.1:${port}/${path}`, never)
      expect((await failure(read(body))).kind).toBe('failed')
    }
  })

  it('fails when it is slower than 64 KiB/s over five minutes', async () => {
    const clock = createManualClock()
    const { port } = await serve((_request, response) => {
      response.write('slow')
      response.on('close', () => {})
      const timer = setInterval(() => response.write('slow'), 5)
      response.on('close', () => clearInterval(timer))
    })
    const { body } = await downloader(['127.0.0.1'], { clock })(`http://127.0.0.1:${port}/`, never)
    const chunks = body[Symbol.asyncIterator]()
    await chunks.next()
    clock.advance(300_000)
    expect((await failure(chunks.next() as Promise<unknown>)).message).toMatch('slower than 64 KiB/s')
  })

  it('ends with its signal', async () => {
    const { port } = await serve((_request, response) => void response.write('half'))
    const stop = new AbortController()
    const { body } = await downloader()(`http://127.0.0.1:${port}/`, stop.signal)
    const reading = failure(read(body))
    stop.abort()
    expect((await reading).kind).toBe('failed')
  })
})
