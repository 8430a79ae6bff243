import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import request from 'supertest'
import { beforeEach, describe, expect, it } from 'vitest'
import { createApp } from '../../src/http/app.ts'
import { createBodyReader } from '../../src/http/body.ts'
import { listen } from '../../src/http/server.ts'
import { InboxUnavailable } from '../../src/inbox/inbox.ts'
import { createReceiver } from '../../src/receive/receive.ts'
import { newMessageId, newSecret } from '../../src/signing.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { event, freeSlots, signed, type TestService, testService } from '../support/service.ts'

/** The table of docs/contract.md#post-webhook-post-webhookname, row by row, over real sockets. */

const DIRECT_TOKEN = 'direct-token-of-24-characters'
const devSecret = newSecret()

let service: TestService
beforeEach(async () => {
  // No worker: jobs stay queued unless a test moves them.
  service = await testService({
    env: { WORKER_CONCURRENCY: '0', SVIX_WEBHOOK_SECRET_DEV: devSecret, DIRECT_WEBHOOK_TOKEN: DIRECT_TOKEN },
  })
})

function update(jobId: string = randomUUID(), status = 'Completed'): string {
  return JSON.stringify({ status, job_id: jobId, metadata: { user_id: '123' } })
}

function post(body: string | Buffer, headers: Record<string, string>, path = '/webhook') {
  return request(service.url)
    .post(path)
    .set({ 'content-type': 'application/json', ...headers })
    .send(body)
}

/** Claims the job and settles it. */
async function settle(jobId: string, state: 'done' | 'dead', savedStatus = 'Completed') {
  const claims = await service.inbox.claim('fetch', freeSlots(100))
  const claim = claims.find((one) => one.jobId === jobId)!
  const attempt = {
    startedAt: 0,
    ms: 1,
    task: 'fetch',
    outcome: state,
    reason: null,
    savedStatus: state === 'done' ? savedStatus : null,
    type: null,
  } as const
  await service.inbox.settle(claim, { ...claim.progress, state }, attempt, null)
}

describe('new job update; job unknown', () => {
  it('answers 200 {"received":true} after the delivery and the job are durable', async () => {
    const jobId = randomUUID()
    const id = newMessageId()
    const body = update(jobId)
    const response = await post(body, signed(service.secret, body, id))
    expect(response.status).toBe(200)
    expect(response.body).toEqual({ received: true })
    expect(response.headers['content-type']).toMatch('application/json')
    expect(response.headers).not.toHaveProperty('webhook-delivery')
    expect(await service.inbox.get(jobId)).toMatchObject({
      state: 'queued',
      endpoint: 'default',
      deliveries: [{ svixId: id, disposition: 'job', arrivals: 1 }],
    })
  })

  it('takes any content type, and none', async () => {
    for (const type of ['text/plain', 'application/cloudevents+json', 'application/octet-stream']) {
      const body = update()
      expect((await post(body, { ...signed(service.secret, body), 'content-type': type })).status).toBe(200)
    }
    const body = update()
    const headers = signed(service.secret, body)
    const response = await fetch(`${service.url}/webhook`, { method: 'POST', headers, body: Buffer.from(body) })
    expect(response.status).toBe(200)
  })
})

describe('known svix-id; job queued, running or done', () => {
  it('answers 200 with duplicate and the state of the job, and counts the arrival', async () => {
    const jobId = randomUUID()
    const id = newMessageId()
    const body = update(jobId)
    await post(body, signed(service.secret, body, id))
    const again = () => post(body, signed(service.secret, body, id))

    expect((await again()).body).toEqual({ received: true, duplicate: true, job: 'queued' })
    const [claim] = await service.inbox.claim('fetch', freeSlots(1))
    expect((await again()).body).toEqual({ received: true, duplicate: true, job: 'running' })
    await service.inbox.settle(
      claim!,
      { ...claim!.progress, state: 'done' },
      { startedAt: 0, ms: 1, task: 'fetch', outcome: 'done', reason: null, savedStatus: 'Completed', type: null },
      null,
    )
    expect((await again()).body).toEqual({ received: true, duplicate: true, job: 'done' })
    expect((await service.inbox.get(jobId))!.deliveries).toMatchObject([{ svixId: id, arrivals: 4 }])
  })

  it('answers an ignored one as before', async () => {
    const body = '{"success":true}'
    const id = newMessageId()
    for (let arrival = 0; arrival < 2; arrival++)
      expect((await post(body, signed(service.secret, body, id))).body).toEqual({
        received: true,
        ignored: 'not a Reducto job update',
      })
    expect((await service.inbox.stats()).deliveries.ignored).toBe(1)
  })
})

describe('job dead, id known or new', () => {
  it.each([
    ['known', true],
    ['new', false],
  ])('queues it again with fresh attempts for a %s id', async (_name, known) => {
    const jobId = randomUUID()
    const id = newMessageId()
    const body = update(jobId)
    await post(body, signed(service.secret, body, id))
    await settle(jobId, 'dead')

    const response = await post(body, signed(service.secret, body, known ? id : newMessageId()))
    expect(response.status).toBe(200)
    expect(response.body).toEqual({ received: true, duplicate: known, requeued: true })
    expect(await service.inbox.get(jobId)).toMatchObject({ state: 'queued', failures: 0, reason: null })
  })
})

describe('new svix-id for a known job that is not dead', () => {
  it('attaches it and fetches nothing twice', async () => {
    const jobId = randomUUID()
    const body = update(jobId)
    await post(body, signed(service.secret, body))
    await settle(jobId, 'done')
    expect((await post(body, signed(service.secret, body))).body).toEqual({ received: true })
    const job = await service.inbox.get(jobId)
    expect(job).toMatchObject({ state: 'done' })
    expect(job!.deliveries).toHaveLength(2)
  })

  it('fetches the job anew when it brings another final status than the record has', async () => {
    const jobId = randomUUID()
    const body = update(jobId)
    await post(body, signed(service.secret, body))
    await settle(jobId, 'done', 'Failed')
    expect((await post(body, signed(service.secret, body))).body).toEqual({ received: true })
    const [claim] = await service.inbox.claim('fetch', freeSlots(1))
    expect(claim).toMatchObject({ jobId, round: 2, fetchSince: 2 })
  })
})

describe('verified JSON object without a job_id', () => {
  it('answers 200 ignored and records it with its body', async () => {
    const body = '{"success":true}'
    const response = await post(body, signed(service.secret, body))
    expect(response.status).toBe(200)
    expect(response.body).toEqual({ received: true, ignored: 'not a Reducto job update' })
    expect((await service.inbox.stats()).deliveries).toEqual({ job: 0, ignored: 1, rejected: 0 })
  })
})

describe('verified, but not a job update that can be read', () => {
  it.each([
    ['not JSON', 'hello', 'not JSON'],
    ['an empty body', '', 'not JSON'],
    ['an array', '[]', 'not a JSON object'],
    ['null', 'null', 'not a JSON object'],
    ['a number', '7', 'not a JSON object'],
    ['a job_id that is a number', '{"job_id":7,"status":"Completed"}', 'job_id must be a string'],
    ['a job_id that is null', '{"job_id":null,"status":"Completed"}', 'job_id must be a string'],
    ['a job_id with a path in it', '{"job_id":"../jobs","status":"Completed"}', 'job_id must be 1 to 128 characters'],
    ['a job_id that is too long', `{"job_id":"${'a'.repeat(129)}","status":"Completed"}`, 'job_id must be 1 to 128'],
    ['no status', '{"job_id":"a"}', 'status must be a string'],
    ['an empty status', '{"job_id":"a","status":""}', 'status must not be empty'],
    ['a status that is too long', `{"job_id":"a","status":"${'s'.repeat(65)}"}`, 'status must be at most 64'],
    [
      'nesting deeper than 64',
      `{"job_id":"a","status":"Completed","metadata":${'['.repeat(64)}${']'.repeat(64)}}`,
      'nested deeper than 64',
    ],
  ])('answers 400 invalid_payload for %s, and records it', async (_name, body, reason) => {
    const response = await post(body, signed(service.secret, body))
    expect(response.status).toBe(400)
    expect(response.body).toEqual({ error: 'invalid_payload', reason: expect.stringContaining(reason) })
    expect((await service.inbox.stats()).deliveries).toEqual({ job: 0, ignored: 0, rejected: 1 })
  })

  it('accepts what is just within the limits', async () => {
    const bodies = [
      `{"job_id":"${'a'.repeat(128)}","status":"${'s'.repeat(64)}"}`,
      `{"job_id":"deep","status":"Completed","metadata":${'['.repeat(63)}${']'.repeat(63)}}`,
      '{"job_id":"brackets","status":"Completed","metadata":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
      '{"job_id":"other","status":"SomethingNew","unknown_field":{"a":1}}',
    ]
    for (const body of bodies) expect((await post(body, signed(service.secret, body))).status).toBe(200)
  })
})

describe('missing, mixed, malformed, stale or wrong signature; body not UTF-8', () => {
  const body = update()
  const now = () => Math.floor(Date.now() / 1000)
  const cases: [reason: string, headers: () => Record<string, string>][] = [
    ['missing_headers', () => ({})],
    ['missing_headers', () => omit(signed(service.secret, body), 'svix-id')],
    ['missing_headers', () => omit(signed(service.secret, body), 'svix-timestamp')],
    ['missing_headers', () => omit(signed(service.secret, body), 'svix-signature')],
    ['mixed_headers', () => ({ ...signed(service.secret, body), 'webhook-id': 'another' })],
    ['bad_timestamp', () => ({ ...signed(service.secret, body), 'svix-timestamp': `${now()}abc` })],
    ['bad_timestamp', () => ({ ...signed(service.secret, body), 'svix-timestamp': `${now()}.5` })],
    ['timestamp_too_old', () => signed(service.secret, body, 'msg_1', new Date(Date.now() - 302_000))],
    ['timestamp_too_new', () => signed(service.secret, body, 'msg_1', new Date(Date.now() + 302_000))],
    ['no_match', () => signed(newSecret(), body)],
    ['no_match', () => signed(devSecret, body)],
    ['no_match', () => ({ ...signed(service.secret, body), 'svix-id': 'another' })],
  ]
  it.each(cases)('answers 401 %s and records nothing (%#)', async (reason, headers) => {
    const response = await post(body, headers())
    expect(response.status).toBe(401)
    expect(response.body).toEqual({ error: 'invalid_signature', reason })
    expect((await service.inbox.stats()).deliveries).toEqual({ job: 0, ignored: 0, rejected: 0 })
  })

  it('answers 401 not_utf8 for bytes that would pass a signature made over their replacement', async () => {
    const replaced = '\uFFFD\uFFFD'
    const response = await fetch(`${service.url}/webhook`, {
      method: 'POST',
      headers: signed(service.secret, replaced),
      body: Buffer.from([0xff, 0xfe]),
    })
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ error: 'invalid_signature', reason: 'not_utf8' })
  })
})

describe('endpoints', () => {
  it('takes a named endpoint with its own secret only', async () => {
    const jobId = randomUUID()
    const body = update(jobId)
    expect((await post(body, signed(service.secret, body), '/webhook/dev')).status).toBe(401)
    expect((await post(body, signed(devSecret, body), '/webhook/dev')).status).toBe(200)
    expect(await service.inbox.get(jobId)).toMatchObject({ endpoint: 'dev', endpoints: ['dev'] })
  })

  it('lists the endpoints of copies of one message, which are one delivery', async () => {
    const jobId = randomUUID()
    const body = update(jobId)
    const id = newMessageId()
    await post(body, signed(service.secret, body, id))
    expect((await post(body, signed(devSecret, body, id), '/webhook/dev')).body).toMatchObject({ duplicate: true })
    const job = await service.inbox.get(jobId)
    expect(job).toMatchObject({ endpoint: 'default', endpoints: ['default', 'dev'] })
    expect(job!.deliveries).toHaveLength(1)
  })

  it('answers 404 for an unknown endpoint name', async () => {
    const body = update()
    for (const path of ['/webhook/nobody', '/webhook/default']) {
      const response = await post(body, signed(service.secret, body), path)
      expect(response.status).toBe(404)
      expect(response.body).toEqual({ error: 'unknown_endpoint' })
    }
  })

  it('takes several secrets while one is rotated', async () => {
    const [old, fresh] = [newSecret(), newSecret()]
    service = await testService({ env: { WORKER_CONCURRENCY: '0', SVIX_WEBHOOK_SECRET: `${fresh}, ${old}` } })
    for (const secret of [old, fresh]) {
      const body = update()
      expect((await post(body, signed(secret, body))).status).toBe(200)
    }
  })
})

describe('another method', () => {
  it('answers 405 with Allow: POST', async () => {
    for (const method of ['get', 'put', 'delete', 'patch'] as const) {
      const response = await request(service.url)[method]('/webhook')
      expect(response.status).toBe(405)
      expect(response.headers.allow).toBe('POST')
    }
  })
})

describe('body over 1 MiB; not complete in time', () => {
  const MIB = 1024 * 1024

  it('answers 413 at once by the declared length, and closes', async () => {
    const answer = await raw(head(signed(service.secret, ''), `content-length: ${MIB + 1}`))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toMatch(/connection: close/i)
    expect(answer).toMatch('{"error":"payload_too_large"}')
  })

  it('answers 413 while reading when no length is declared', async () => {
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const answer = await raw(head(signed(service.secret, ''), 'transfer-encoding: chunked') + chunk.repeat(17))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('takes a body of exactly 1 MiB', async () => {
    const frame = '{"job_id":"large","status":"Completed","metadata":""}'
    const body = frame.replace('""', `"${'x'.repeat(MIB - frame.length)}"`)
    expect(Buffer.byteLength(body)).toBe(MIB)
    expect((await post(body, signed(service.secret, body))).status).toBe(200)
  })

  it('answers 408 when the body is not complete in time', async () => {
    const app = createApp({
      receiver: () => receiverOn({ accept: () => Promise.reject(new Error('not reached')) }),
      health: () => ({ notReady: [], degraded: [] }),
      events: createEvents(),
      bodies: createBodyReader({ timeout: 20 }),
    })
    const server = await listen(app, '127.0.0.1', 0, createEvents())
    const answer = await raw(`${head(signed(service.secret, ''), 'content-length: 10')}half`, server.port)
    await server.close(0)
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toMatch('{"error":"timeout"}')
  })
})

describe('a Content-Encoding', () => {
  it('answers 415', async () => {
    const body = update()
    const response = await post(body, { ...signed(service.secret, body), 'content-encoding': 'gzip' })
    expect(response.status).toBe(415)
    expect(response.body).toEqual({ error: 'encoding_not_supported' })
  })
})

describe('not ready, inbox cannot commit, too much in flight', () => {
  it.each(['full', 'slow', 'failed', 'closed'] as const)(
    'answers 503 with Retry-After when the inbox is %s',
    async (code) => {
      const accept = () => Promise.reject(new InboxUnavailable(code, 'no'))
      const response = await appWith({ receiver: () => receiverOn({ accept }) })
      expect(response.status).toBe(503)
      expect(response.body).toEqual({ error: 'unavailable' })
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
    },
  )

  it('answers 503 before it is ready', async () => {
    expect((await appWith({ receiver: () => null })).status).toBe(503)
  })

  it('answers 503 when too much is in flight, keeps no small body out, and goes on when that is over', async () => {
    const bodies = createBodyReader({ inFlight: 160_000 })
    const accept = async () => ({ duplicate: false, requeued: false, job: null })
    const deps = { receiver: () => receiverOn({ accept }), bodies }
    const large = JSON.stringify({ success: 'x'.repeat(200_000) })
    expect((await appWith(deps, large)).status).toBe(503)
    const held = Promise.withResolvers<void>()
    const holding = bodies.read(fakeRequest('x'.repeat(100_000)), () => held.promise)
    expect((await appWith(deps, large.slice(0, 60_000))).status).toBe(503)
    expect((await appWith(deps, '{"success":true}')).status).toBe(200)
    held.resolve()
    await holding
    expect((await appWith(deps, JSON.stringify({ success: 'x'.repeat(60_000) }))).status).toBe(200)
  })

  it('bounds all bodies together, ordinary ones too, to the byte', async () => {
    const bodies = createBodyReader({ inFlight: 40_000 })
    const held = Promise.withResolvers<void>()
    const hold = () => bodies.read(fakeRequest('x'.repeat(10_000)), () => held.promise)
    const holding = [hold(), hold(), hold(), hold()]
    await expect(bodies.read(fakeRequest('x'), async () => {})).rejects.toThrow('too_much_in_flight')
    held.resolve()
    await Promise.all(holding)
    await bodies.read(fakeRequest('x'), async () => {})
  })

  it('takes no body that comes in thousands of tiny pieces, which would cost far more memory than it has bytes', async () => {
    const answer = await raw(
      head(signed(service.secret, ''), 'transfer-encoding: chunked') + '1\r\na\r\n'.repeat(5_000),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  })
})

describe('checks come in order, the cheapest first', () => {
  it('tells the method before the endpoint, the endpoint before the encoding, that before the signature', async () => {
    expect((await request(service.url).get('/webhook/nobody')).status).toBe(405)
    expect((await post('x', { 'content-encoding': 'gzip' }, '/webhook/nobody')).status).toBe(404)
    expect((await post('x', { 'content-encoding': 'gzip' })).status).toBe(415)
    const length = `content-length: ${2 * 1024 * 1024}`
    expect(await raw(head({}, length))).toMatch(/^HTTP\/1\.1 401 /)
    expect(await raw(head(signed(service.secret, ''), length))).toMatch(/^HTTP\/1\.1 413 /)
  })
})

describe('POST /webhook/direct/TOKEN', () => {
  it('takes an unsigned update with the token, and recognises it by job and status', async () => {
    const jobId = randomUUID()
    const body = update(jobId)
    const send = (text: string) => post(text, {}, `/webhook/direct/${DIRECT_TOKEN}`)
    expect((await send(body)).body).toEqual({ received: true })
    expect((await send(body)).body).toEqual({ received: true, duplicate: true, job: 'queued' })
    expect((await send(update(jobId, 'Failed'))).body).toEqual({ received: true })
    expect(await service.inbox.get(jobId)).toMatchObject({ endpoint: 'direct' })
  })

  it('answers 404 to a wrong token, and when there is none', async () => {
    const body = update()
    expect((await post(body, {}, '/webhook/direct/wrong')).status).toBe(404)
    service = await testService({ env: { WORKER_CONCURRENCY: '0' } })
    expect((await post(body, {}, `/webhook/direct/${DIRECT_TOKEN}`)).status).toBe(404)
  })
})

describe('connections that are no good', () => {
  it('what is no HTTP gets a 400 in JSON', async () => {
    const answer = await raw('this is no HTTP\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/\r\n\r\n\{"error":"bad_request"\}$/)
  })

  it('nothing is worked on that comes behind a refusal', async () => {
    const body = update('job-behind')
    const behind = head(signed(service.secret, body), `content-length: ${body.length}`) + body
    const socket = connect(service.port, '127.0.0.1')
    socket.write(head({}, 'content-length: 5'))
    const closed = new Promise((resolve) => socket.on('close', resolve))
    const answer = await new Promise((resolve) => socket.once('data', resolve))
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /)
    socket.end(`12345${behind}`)
    await closed
    expect(await service.inbox.get('job-behind')).toBeNull()
  })

  it('a body that breaks off is told as that, not as a wrong signature', async () => {
    const events = createEvents()
    service = await testService({ events, env: { WORKER_CONCURRENCY: '0' } })
    const refused = event(events, 'refused')
    const body = update()
    const socket = connect(service.port, '127.0.0.1')
    socket.write(head(signed(service.secret, body), `content-length: ${body.length}`) + body.slice(0, 20), () =>
      socket.destroy(),
    )
    expect(await refused).toMatchObject({ status: 0, reason: 'broken_off' })
  })
})

describe('a delivery that is answered is told in one event', () => {
  it('without its payload', async () => {
    const events = createEvents()
    service = await testService({ events, env: { WORKER_CONCURRENCY: '0' } })
    const told = event(events, 'delivery')
    const body = update('job-1')
    await post(body, signed(service.secret, body, 'msg_1'))
    const told1 = await told
    expect(told1).toEqual({
      endpoint: 'default',
      svixId: 'msg_1',
      jobId: 'job-1',
      status: 'Completed',
      outcome: 'accepted',
      ms: expect.any(Number),
    })
  })
})

function omit(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name))
}

function head(headers: Record<string, string>, ...more: string[]): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return ['POST /webhook HTTP/1.1', 'host: localhost', ...lines, ...more, '', ''].join('\r\n')
}

/** Sends bytes as they are and reads until the other side closes. */
function raw(bytes: string, port = service.port): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

type Inbox = Parameters<typeof createReceiver>[0]['inbox']

function receiverOn(inbox: Inbox) {
  const clock = createManualClock()
  const endpoints = new Map([['default', [service.secret]]])
  return createReceiver({ endpoints, directToken: null, inbox, clock, events: createEvents() })
}

async function appWith(deps: Partial<Parameters<typeof createApp>[0]>, body = update()) {
  const app = createApp({
    receiver: () => null,
    health: () => ({ notReady: [], degraded: [] }),
    events: createEvents(),
    ...deps,
  })
  return request(app).post('/webhook').set(signed(service.secret, body)).send(body)
}

function fakeRequest(body: string) {
  const stream = new PassThrough()
  stream.end(body)
  return stream as unknown as IncomingMessage
}
