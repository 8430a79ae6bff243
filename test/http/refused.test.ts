import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createApp } from '../../src/http/app.ts'
import { listen } from '../../src/http/server.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { signed } from '../support/service.ts'
import { exchangeRaw, head, openRaw } from './raw.ts'
import { startEdge } from './rig.ts'

/** Everything that a caller sends here and that must appear nowhere holds this word. */
const SENTINEL = 'sentinel'

const PROXY_V2 = Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a', 'hex'), Buffer.from(SENTINEL)])
const TLS_HELLO = Buffer.concat([Buffer.from('16030100f5010000f10303', 'hex'), Buffer.from(SENTINEL)])

describe('what is no request to this server', () => {
  it.each<[name: string, bytes: string | Uint8Array, status: number, error: string, code: string]>([
    ['a TLS hello', TLS_HELLO, 400, 'bad_request', 'HPE_INVALID_METHOD'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'bad_request', 'HPE_PAUSED_H2_UPGRADE'],
    [
      'PROXY protocol 1',
      `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${head(`/${SENTINEL}`)}`,
      400,
      'bad_request',
      'HPE_INVALID_METHOD',
    ],
    ['PROXY protocol 2', PROXY_V2, 400, 'bad_request', 'HPE_INVALID_METHOD'],
    ['no Host', `GET /${SENTINEL} HTTP/1.1\r\n\r\n`, 400, 'bad_request', 'no_host'],
    ['HTTP/0.9', `GET /${SENTINEL}\r\n\r\n`, 400, 'bad_request', 'http_version'],
    ['HTTP/2 in words', `GET /${SENTINEL} HTTP/2.0\r\nhost: a\r\n\r\n`, 400, 'bad_request', 'http_version'],
    [
      'a version that does not exist',
      `GET / HTTP/7.3\r\nhost: ${SENTINEL}\r\n\r\n`,
      400,
      'bad_request',
      'HPE_INVALID_VERSION',
    ],
    ['an absolute target', head('http://sentinel:b/'), 400, 'bad_request', 'target'],
    ['an absolute target of this server', head('http://localhost/webhook', {}, 'POST'), 400, 'bad_request', 'target'],
    ['an absolute target of another scheme', head('ftp://sentinel:99999/'), 400, 'bad_request', 'target'],
    ['no path', head('*', {}, 'OPTIONS'), 400, 'bad_request', 'target'],
    ['a path without a slash', head('webhook', {}, 'POST'), 400, 'bad_request', 'HPE_INVALID_URL'],
    ['a path with two slashes', head('//webhook', {}, 'POST'), 400, 'bad_request', 'target'],
    ['two slashes and a host', head('//sentinel:b/webhook', {}, 'POST'), 400, 'bad_request', 'target'],
    ['a fragment', head('/webhook#//sentinel:b/', {}, 'POST'), 400, 'bad_request', 'target'],
    ['a path that cannot be decoded', head('/webhook/%E0%A4%A', {}, 'POST'), 400, 'bad_request', 'target'],
    ['a CONNECT', `CONNECT ${SENTINEL}:1 HTTP/1.1\r\nhost: a\r\n\r\n`, 400, 'bad_request', 'connect'],
    [
      'two lengths',
      head('/webhook', { 'content-length': '1', 'Content-Length': '2' }, 'POST'),
      400,
      'bad_request',
      'HPE_UNEXPECTED_CONTENT_LENGTH',
    ],
    [
      'a header without a name',
      head('/webhook', { '': SENTINEL }, 'POST'),
      400,
      'bad_request',
      'HPE_INVALID_HEADER_TOKEN',
    ],
    [
      'headers over 16 KiB',
      head('/webhook', { a: SENTINEL.repeat(2_100) }),
      431,
      'headers_too_large',
      'HPE_HEADER_OVERFLOW',
    ],
    ['a target over 16 KiB', head(`/${'x'.repeat(17_000)}`), 431, 'headers_too_large', 'HPE_HEADER_OVERFLOW'],
  ])('%s: answered in JSON, destroyed, reported once', async (_name, bytes, status, error, code) => {
    const edge = await startEdge()
    const client = openRaw(edge.port)
    client.write(bytes)
    const { answer, wasReset } = await client.ended
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toMatch(/\r\ncontent-type: application\/json/i)
    expect(answer).toMatch(/\r\nconnection: close/i)
    expect(answer.split('\r\n\r\n')[1]).toBe(JSON.stringify({ error }))
    expect(wasReset).toBe(false)
    expect(edge.refused).toEqual([{ endpoint: 'unknown', status, reason: error, code, peer: '127.0.0.1' }])
  })

  it.each([
    ['a chunk of a length that is no number', 'zz\r\n', 400, 'HPE_INVALID_CHUNK_SIZE'],
    ['endless chunk extensions', `1;${'x'.repeat(20_000)}`, 413, 'HPE_CHUNK_EXTENSIONS_OVERFLOW'],
    ['trailers over 16 KiB', `1\r\na\r\n0\r\nx: ${'y'.repeat(17_000)}`, 431, 'HPE_HEADER_OVERFLOW'],
  ])('%s in the body of a delivery: answered once', async (_name, body, status, code) => {
    const edge = await startEdge()
    const headers = { ...signed(edge.secret, ''), 'transfer-encoding': 'chunked' }
    const answer = await exchangeRaw(edge.port, head('/webhook', headers, 'POST') + body)
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`])
    expect(edge.refused).toMatchObject([{ status, code }])
  })

  it('HTTP/1.0 has no Host, and is answered; so is a request with expectations of its own', async () => {
    const edge = await startEdge()
    expect(await exchangeRaw(edge.port, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/ 200 /)
    const expecting = head('/healthz', { expect: 'miracles', connection: 'close' })
    expect(await exchangeRaw(edge.port, expecting)).toMatch(/ 200 /)
    expect(edge.refused).toEqual([])
  })

  it('a connection that breaks is no refusal', async () => {
    const edge = await startEdge()
    const client = openRaw(edge.port)
    client.write(head('/healthz'))
    await client.received(/alive/)
    client.socket.resetAndDestroy()
    await client.ended
    expect(await exchangeRaw(edge.port, head('/healthz', { connection: 'close' }))).toMatch(/alive/)
    expect(edge.refused).toEqual([])
  })
})

describe('every refused request is reported, with nothing of what it sent', () => {
  it.each<[name: string, bytes: (secret: string) => string, expected: object]>([
    ['a path that nobody has', () => head('/webhooks/sentinel'), { status: 404, reason: 'not_found' }],
    [
      'an endpoint that nobody has',
      () => head('/webhook/sentinel', {}, 'POST'),
      { status: 404, reason: 'unknown_endpoint' },
    ],
    ['a wrong token', () => head('/webhook/direct/sentinel', {}, 'POST'), { status: 404, reason: 'unknown_endpoint' }],
    ['another method', () => head('/webhook?sentinel'), { status: 405, reason: 'method' }],
    [
      'no signature',
      () => head('/webhook', { 'user-agent': 'sentinel' }, 'POST'),
      { status: 401, reason: 'missing_headers', endpoint: 'default' },
    ],
    [
      'a coding',
      () => head('/webhook', { 'content-encoding': 'sentinel' }, 'POST'),
      { status: 415, reason: 'encoding', endpoint: 'default' },
    ],
    [
      'a payload that is none',
      (secret) => `${head('/webhook', { ...signed(secret, 'sentinel'), 'content-length': '8' }, 'POST')}sentinel`,
      { status: 400, reason: 'invalid_payload', endpoint: 'default', cause: 'not JSON' },
    ],
    [
      'a body that is too large',
      (secret) => head('/webhook', { ...signed(secret, ''), 'content-length': '1048577' }, 'POST'),
      { status: 413, reason: 'too_large', endpoint: 'default' },
    ],
  ])('%s', async (_name, bytes, expected) => {
    const edge = await startEdge()
    const client = openRaw(edge.port)
    client.write(bytes(edge.secret))
    expect(await client.receivedAnswers(1)).toMatch(/\r\ncontent-type: application\/json/i)
    client.socket.destroy()
    expect(edge.refused).toEqual([{ endpoint: 'unknown', peer: '127.0.0.1', ...expected }])
    expect(JSON.stringify(edge.refused)).not.toContain(SENTINEL)
  })

  it('links to results too', async () => {
    const edge = await startEdge({
      app: {
        saved: () => ({
          now: () => 0,
          links: () => ({ to: () => '', isGood: () => false }),
          results: { record: async () => null, link: async () => null, open: async () => null },
        }),
      },
    })
    await exchangeRaw(edge.port, head('/results/job-1/record.json?signature=sentinel', { connection: 'close' }))
    expect(edge.refused).toEqual([{ endpoint: 'results', status: 403, reason: 'link_not_valid', peer: '127.0.0.1' }])
  })
})

describe('the address of the caller', () => {
  it.each<[trust: boolean | number | string | undefined, forwarded: string, peer: string]>([
    [undefined, '198.51.100.7', '127.0.0.1'],
    [false, '198.51.100.7', '127.0.0.1'],
    [true, '198.51.100.7', '198.51.100.7'],
    [1, '192.0.2.1, 198.51.100.7', '198.51.100.7'],
    ['loopback', '192.0.2.1, 198.51.100.7', '198.51.100.7'],
    ['10.0.0.0/8', '198.51.100.7', '127.0.0.1'],
    [true, '198.51.100.7:4711', '198.51.100.7'],
    [true, '[2001:db8::7]:4711', '2001:db8::7'],
    [true, '::ffff:198.51.100.7', '198.51.100.7'],
    [true, 'sentinel', '127.0.0.1'],
    [true, '', '127.0.0.1'],
  ])('with TRUST_PROXY=%s and X-Forwarded-For: %s is %s, on every way of refusing', async (trust, forwarded, peer) => {
    const edge = await startEdge({ app: trust === undefined ? {} : { trustProxy: trust } })
    const headers = { 'x-forwarded-for': forwarded, connection: 'close' }
    await exchangeRaw(edge.port, head('/nothing', headers))
    await exchangeRaw(edge.port, head('/webhook', headers, 'POST'))
    await exchangeRaw(edge.port, head('http://a:b/', headers))
    await exchangeRaw(
      edge.port,
      head('/nothing')
        .repeat(2)
        .replace(/\r\n\r\n$/, `\r\nx-forwarded-for: ${forwarded}\r\n\r\n`),
    )
    const peers = edge.refused.filter(({ reason }) => reason !== 'pipelined').map((refusal) => refusal.peer)
    expect(peers.slice(0, 3)).toEqual([peer, peer, peer])
    expect(edge.refused.at(-1)).toMatchObject({ reason: 'pipelined', peer })
  })
})

describe('standard error', () => {
  it.each(['development', 'production', 'test', undefined])(
    'stays empty whatever strangers send, with NODE_ENV=%s',
    async (nodeEnv) => {
      const { NODE_ENV: _, VITEST: __, ...env } = process.env
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', new URL('./strangers.ts', import.meta.url).pathname],
        { env: { ...env, ...(nodeEnv === undefined ? {} : { NODE_ENV: nodeEnv }) } },
      )
      expect(stderr).toBe('')
      expect(stdout).toBe('done\n')
    },
  )
})

describe('before anything else is ready', () => {
  it('listens: webhooks and links get a 503 with Retry-After, /healthz a 200', async () => {
    const edge = await startEdge({
      app: {
        receiver: () => null,
        health: () => ({ notReady: ['starting'], degraded: [] }),
        saved: () => null,
      },
    })
    const url = `http://127.0.0.1:${edge.port}`
    for (const [path, method] of [
      ['/webhook', 'POST'],
      ['/webhook/dev', 'POST'],
      ['/results/job-1/record.json', 'GET'],
    ] as const) {
      const response = await fetch(url + path, { method })
      expect([response.status, await response.json()]).toEqual([503, { error: 'unavailable' }])
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    expect(edge.refused.map(({ reason }) => reason)).toEqual(['not_ready', 'not_ready', 'results_not_ready'])
  })

  it('says what to do when the port is taken, or the address is not ours', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as { port: number }
    const events = createEvents()
    const app = createApp({ receiver: () => null, health: () => ({ notReady: [], degraded: [] }), events })
    await expect(listen(app, '127.0.0.1', port, events)).rejects.toThrow('set PORT')
    await expect(listen(app, '192.0.2.1', 0, events)).rejects.toThrow('set HOST')
  })
})
