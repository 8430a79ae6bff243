import { readdirSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { connectionLimit } from '../../src/http/connections.ts'
import { newMessageId } from '../../src/signing.ts'
import { recordOf } from '../results/saved.ts'
import { signed } from '../support/service.ts'
import { exchangeRaw, head, openRaw } from './raw.ts'
import { startEdge } from './rig.ts'

const BODY = '{"status":"Completed","job_id":"job-1"}'

function delivery(secret: string, id = newMessageId(), body = BODY): string {
  return head('/webhook', { ...signed(secret, body, id), 'content-length': String(body.length) }, 'POST') + body
}

describe('a request that begins before the last one is answered', () => {
  it.each([
    ['a health check', head('/healthz')],
    ['a path that does not exist', head('/nothing')],
    ['a refused delivery', head('/webhook', { 'content-length': '0' }, 'POST')],
    ['a refused delivery whose body is still to come', head('/webhook', { 'content-length': '9' }, 'POST')],
    ['a request that is no request', 'GET http://a:b/ HTTP/1.1\r\nhost: a\r\n\r\n'],
  ])('ends its connection behind %s, and is not worked on', async (_name, first) => {
    const edge = await startEdge()
    const answer = await exchangeRaw(edge.port, first + delivery(edge.secret).repeat(100))
    expect(answer.match(/HTTP\/1\.1 /g)?.length ?? 0).toBeLessThanOrEqual(1)
    expect(edge.accepted).toHaveLength(0)
  })

  it('ends its connection behind a delivery that waits for its commit', async () => {
    const edge = await startEdge({ held: true })
    const client = openRaw(edge.port)
    client.write(delivery(edge.secret))
    await edge.reached(1)
    client.write(head('/healthz'))
    expect((await client.ended).answer).toBe('')
    expect(edge.refused).toMatchObject([{ status: 0, reason: 'pipelined', peer: '127.0.0.1' }])
    edge.accepted[0]!.answer()
  })

  it('ends its connection behind a CONNECT, and a CONNECT behind it', async () => {
    const edge = await startEdge({ held: true })
    const connect = 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'
    await exchangeRaw(edge.port, connect + delivery(edge.secret))
    await exchangeRaw(edge.port, delivery(edge.secret) + connect)
    expect(edge.accepted.length).toBeLessThanOrEqual(1)
  })

  it('is cut off within the piece of bytes that it came in: thousands behind it are never built', async () => {
    let requests = 0
    const edge = await startEdge({ app: { receiver: () => null, health: () => ({ notReady: [], degraded: [] }) } })
    const { IncomingMessage } = await import('node:http')
    const addHeaders = vi.spyOn(IncomingMessage.prototype as unknown as { _addHeaderLines(): void }, '_addHeaderLines')
    await exchangeRaw(edge.port, head('/nothing').repeat(1_500))
    requests = addHeaders.mock.calls.length
    addHeaders.mockRestore()
    // The first, the one that did not wait, and the one at which the parser stops.
    expect(requests).toBeLessThanOrEqual(3)
  })

  it('may come as soon as the last one is answered, hundreds on one connection', async () => {
    const edge = await startEdge()
    const client = openRaw(edge.port)
    for (let count = 1; count <= 300; count++) {
      client.write(count % 2 ? delivery(edge.secret) : head('/nothing'))
      await client.receivedAnswers(count)
    }
    expect(edge.refused.filter(({ reason }) => reason === 'pipelined')).toEqual([])
    client.socket.destroy()
  })
})

describe('honest deliveries', () => {
  it('all get through while somebody pipelines behind a refusal as fast as they can', async () => {
    const edge = await startEdge()
    let isFlooding = true
    const flood = head('/webhook', {}, 'POST').repeat(1_000)
    const floods = Array.from({ length: 4 }, async () => {
      while (isFlooding) await exchangeRaw(edge.port, flood)
    })
    const before = process.memoryUsage.rss()
    for (let round = 0; round < 80; round++) {
      const body = `{"status":"Completed","job_id":"job-${round}"}`
      const url = `http://127.0.0.1:${edge.port}/webhook`
      const response = await fetch(url, { method: 'POST', headers: signed(edge.secret, body), body })
      expect(response.status).toBe(200)
    }
    isFlooding = false
    await Promise.all(floods)
    expect(edge.accepted).toHaveLength(80)
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024)
  })

  it('get in when every place is taken by somebody who only holds it', async () => {
    const edge = await startEdge({ limits: { connections: 20 } })
    const idle = Array.from({ length: 60 }, () => openRaw(edge.port))
    await Promise.all(idle.map(({ connected }) => connected))
    const client = openRaw(edge.port)
    client.write(delivery(edge.secret))
    expect(await client.received(/received/)).toMatch(/ 200 /)
    await Promise.all(idle.slice(0, 40).map(({ ended }) => ended))
    expect(edge.refused.every(({ reason }) => reason === 'too_many_connections')).toBe(true)
    for (const { socket } of [...idle, client]) socket.destroy()
  })

  it('keep their connections, whoever only holds one: while a body comes, and while an answer is owed', async () => {
    const edge = await startEdge({ limits: { connections: 20 }, held: true })
    const [waiting, sending] = [openRaw(edge.port), openRaw(edge.port)]
    waiting.write(delivery(edge.secret))
    await edge.reached(1)
    const request = delivery(edge.secret)
    sending.write(request.slice(0, -10))
    await sending.connected
    // The server has read what was sent before this.
    const later = openRaw(edge.port)
    later.write(head('/healthz'))
    await later.received(/alive/)
    const idle = Array.from({ length: 60 }, () => openRaw(edge.port))
    await Promise.all(idle.map(({ connected }) => connected))
    // Those that go first have been taken and destroyed.
    await Promise.all(idle.slice(0, 40).map(({ ended }) => ended))
    sending.write(request.slice(-10))
    await edge.reached(2)
    for (const { answer } of edge.accepted) answer()
    for (const client of [waiting, sending]) expect(await client.received(/received/)).toMatch(/ 200 /)
    for (const { socket } of [...idle, later, waiting, sending]) socket.destroy()
  })

  it('get in when every place is taken by a request: the oldest goes', async () => {
    const edge = await startEdge({ limits: { connections: 3 }, held: true })
    const clients = []
    for (let count = 1; count <= 4; count++) {
      const client = openRaw(edge.port)
      clients.push(client)
      client.write(delivery(edge.secret))
      await edge.reached(count)
    }
    expect((await clients[0]!.ended).answer).toBe('')
    for (const { answer } of edge.accepted) answer()
    for (const client of clients.slice(1)) expect(await client.received(/received/)).toMatch(/ 200 /)
    for (const { socket } of clients) socket.destroy()
  })
})

describe('the limit of connections', () => {
  it.each([
    [Number.POSITIVE_INFINITY, 4_096],
    [1_048_576, 4_096],
    [1_024, 512],
    [256, 64],
  ])('leaves descriptors for the worker: %d allow %d', (descriptors, connections) => {
    expect(connectionLimit(descriptors)).toBe(connections)
  })
})

describe('a connection that is not used', () => {
  const limits = { headersTimeout: 100, requestTimeout: 200, checkInterval: 20 }

  it('is closed without a word when it never sent anything', async () => {
    const edge = await startEdge({ limits })
    expect(await openRaw(edge.port).ended).toEqual({ answer: '', wasReset: false })
    await openRaw(edge.port, { stays: true }).ended
    expect(edge.refused).toEqual([])
  })

  it.each([
    ['one byte', 'G'],
    ['half a head', 'POST /webhook HTTP/1.1\r\nhost: a\r\nsvix-id: sentinel'],
    ['half a head behind an answered request', `${head('/healthz')}`],
  ])('gets a 408 for %s, and is destroyed', async (name, bytes) => {
    const edge = await startEdge({ limits })
    const client = openRaw(edge.port, { stays: true })
    client.write(bytes)
    if (name.includes('behind')) {
      await client.received(/alive/)
      client.write('GET /he')
    }
    const { answer } = await client.ended
    expect(answer).toMatch(/HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*\{"error":"timeout"\}$/)
    expect(edge.refused).toEqual([
      { endpoint: 'unknown', status: 408, reason: 'timeout', code: 'ERR_HTTP_REQUEST_TIMEOUT', peer: '127.0.0.1' },
    ])
  })

  it('is destroyed without a second answer when the rest of an answered request does not come', async () => {
    const edge = await startEdge({ limits })
    const answer = await exchangeRaw(edge.port, head('/healthz', { 'content-length': '10' }))
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200'])
  })

  it('gets the same 408 for a slow body, whoever notices first', async () => {
    const edge = await startEdge({ limits })
    const post = head('/webhook', { ...signed(edge.secret, BODY), 'content-length': '100' }, 'POST')
    expect(await exchangeRaw(edge.port, `${post}half`)).toMatch(/^HTTP\/1\.1 408 [\s\S]*\{"error":"timeout"\}$/)
    expect(edge.refused.map(({ status, reason }) => [status, reason])).toEqual([[408, 'timeout']])
  })

  it.each([
    ['nothing that is HTTP', 'this is no HTTP\r\n\r\n', 400],
    ['a head that is too large', head('/webhook', { 'x-large': 'x'.repeat(17_000) }), 431],
    ['a body that is too large', head('/webhook', { 'content-length': '1000000000' }, 'POST'), 401],
  ])('is destroyed after the refusal of %s, also when the client stays', async (_name, bytes, status) => {
    const edge = await startEdge()
    const client = openRaw(edge.port, { stays: true })
    client.write(bytes)
    const { answer } = await client.ended
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  it('gives its descriptor back, whatever it was', async () => {
    const edge = await startEdge({ limits })
    const descriptors = () => readdirSync('/proc/self/fd').length
    const before = descriptors()
    const kinds = [
      '',
      'GET /',
      'no HTTP\r\n\r\n',
      head('/nothing'),
      head('/webhook', { 'content-length': '9' }, 'POST'),
      head('/healthz', { 'content-length': '9' }),
      head('/nothing').repeat(10),
      'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n',
    ]
    const clients = Array.from({ length: 200 }, (_, index) => {
      const client = openRaw(edge.port, { stays: true })
      client.write(kinds[index % kinds.length]!)
      return { client, stays: kinds[index % kinds.length] === head('/nothing') }
    })
    await Promise.all(clients.filter(({ stays }) => !stays).map(({ client }) => client.ended))
    for (const { client, stays } of clients) if (stays) client.socket.destroy()
    await Promise.all(clients.map(({ client }) => client.ended))
    await vi.waitFor(() => expect(descriptors()).toBeLessThanOrEqual(before))
  })
})

describe('a client that does not read its answers', () => {
  it('is cut off when nothing has moved for a while', async () => {
    const served = Promise.withResolvers<void>()
    const edge = await startEdge({
      limits: { idleTimeout: 100 },
      app: {
        saved: () => ({
          now: () => 0,
          links: () => ({ to: () => '', isGood: () => true }),
          results: {
            record: async (jobId: string) => recordOf(jobId),
            link: async () => null,
            open: async () => {
              const { Readable } = await import('node:stream')
              return { bytes: 1e12, body: Readable.from(endless()).once('close', served.resolve) }
            },
          },
        }),
      },
    })
    const client = openRaw(edge.port)
    client.socket.pause()
    client.write(head('/results/job-1/job.json'))
    await served.promise
    // The client learns of it when it reads on.
    client.socket.resume()
    await client.ended
  })
})

async function* endless(): AsyncIterable<Buffer> {
  for (;;) yield Buffer.alloc(65_536)
}

describe('a stop', () => {
  it('leaves idle connections open, and closes each with its next answer', async () => {
    const edge = await startEdge()
    const client = openRaw(edge.port)
    client.write(head('/healthz'))
    await client.received(/alive/)
    edge.server.drain()
    client.write(delivery(edge.secret))
    const { answer, wasReset } = await client.ended
    expect(wasReset).toBe(false)
    expect(answer).toMatch(/\{"received":true\}$/)
    expect(answer.match(/connection: close/gi)).toHaveLength(1)
  })

  it('closes connections with answers that were asked for before it', async () => {
    const edge = await startEdge({ held: true })
    const client = openRaw(edge.port)
    client.write(delivery(edge.secret))
    await edge.reached(1)
    edge.server.drain()
    edge.accepted[0]!.answer()
    expect((await client.ended).answer).toMatch(/connection: close[\s\S]*\{"received":true\}$/i)
  })

  it('takes requests on idle connections until the grace is over, and no new connections', async () => {
    const edge = await startEdge()
    const [used, unused] = [openRaw(edge.port), openRaw(edge.port)]
    for (const client of [used, unused]) {
      client.write(head('/healthz'))
      await client.received(/alive/)
    }
    edge.server.drain()
    const closed = edge.server.close(300)
    used.write(delivery(edge.secret))
    expect((await used.ended).answer).toMatch(/\{"received":true\}$/)
    expect((await openRaw(edge.port).ended).wasReset).toBe(true)
    await closed
    expect((await unused.ended).wasReset).toBe(false)
  })

  it('never outlives its grace, whatever hangs', async () => {
    const edge = await startEdge({ held: true })
    const clients = ['', 'GET /', head('/healthz'), delivery(edge.secret), 'no HTTP\r\n\r\n'].map((bytes) => {
      const client = openRaw(edge.port, { stays: true })
      client.write(bytes)
      return client
    })
    await edge.reached(1)
    edge.server.drain()
    // None of them ends by itself.
    await edge.server.close(100)
    await Promise.all(clients.map(({ ended }) => ended))
    await edge.server.close(100)
  })

  it('ends before its grace when every connection has ended', async () => {
    const edge = await startEdge()
    edge.server.drain()
    await edge.server.close(60_000)
  })
})
