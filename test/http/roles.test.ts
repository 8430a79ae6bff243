import express from 'express'
import request from 'supertest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createApp, createOperatorApp } from '../../src/http/app.ts'
import { createOperator, type OperatorDeps } from '../../src/http/operator.ts'
import { listen } from '../../src/http/server.ts'
import { createSlowDown } from '../../src/http/slow-down.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { exchangeRaw, head } from './raw.ts'
import type { Refused } from './rig.ts'

const WRITE = 'a-token-that-writes-1'
const NEW_WRITE = 'a-token-that-writes-2'
const READ = 'a-token-that-reads-1'

const OPERATOR: Omit<OperatorDeps, 'clock'> = {
  tokens: { write: [WRITE, NEW_WRITE], read: [READ] },
  metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' },
  scrub: createScrub([WRITE, NEW_WRITE, READ]),
  api: { work: () => null, version: '1.0.0' },
}

/** The surface with the routes that there are, and one of each role beside. */
function rig() {
  const events = createEvents()
  const clock = createManualClock()
  const refused: Refused[] = []
  events.on('refused', (refusal) => refused.push(refusal))
  const operator = { ...OPERATOR, clock }
  const app = express()
  const { guards } = createOperator(operator, events)
  app.post('/write', ...guards.write, (_request, response) => void response.json(response.locals.body.toString()))
  app.post('/read', ...guards.read, (_request, response) => void response.json('read'))
  return { events, clock, refused, app, metrics: createOperatorApp({ events, operator }) }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('without tokens', () => {
  it.each(['get', 'post', 'head', 'options'] as const)('%s /metrics is as unknown as any path', async (method) => {
    const app = createApp({
      receiver: () => null,
      health: () => ({ notReady: [], degraded: [] }),
      events: createEvents(),
      operator: null,
    })
    const { status, text, headers } = await request(app)[method]('/metrics').set(bearer(WRITE))
    const other = await request(app)[method]('/nothing')
    expect([status, text]).toEqual([404, other.text])
    expect(Object.keys(headers)).toEqual(Object.keys(other.headers))
  })
})

describe('roles', () => {
  it.each([WRITE, NEW_WRITE, READ])('%s reads', async (token) => {
    const { metrics, refused } = rig()
    const answer = await request(metrics).get('/metrics').set(bearer(token)).expect(200, 'up 1\n')
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' })
    expect(answer.headers['content-type']).toMatch(/^text\/plain/)
    expect(refused).toEqual([])
  })

  it('only one that may change things writes', async () => {
    const { app, refused } = rig()
    await request(app).post('/write').set(bearer(WRITE)).send('a=1').expect(200, '"a=1"')
    await request(app).post('/write').set(bearer(NEW_WRITE)).expect(200, '""')
    const answer = await request(app).post('/write').set(bearer(READ)).expect(403, { error: 'read_only' })
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(refused).toMatchObject([{ endpoint: 'operator', status: 403, reason: 'read_only' }])
  })

  it.each<[name: string, headers: Record<string, string>, reason: string]>([
    ['nothing', {}, 'no_token'],
    ['a wrong token', bearer(`${WRITE}x`), 'wrong_token'],
    ['the beginning of a token', bearer(WRITE.slice(0, -1)), 'wrong_token'],
    ['an empty one', { authorization: 'Bearer' }, 'wrong_token'],
    ['another scheme', { authorization: `Basic ${btoa(`admin:${WRITE}`)}` }, 'wrong_token'],
    ['a token alone', { authorization: WRITE }, 'wrong_token'],
    ['two tokens', { authorization: `Bearer ${WRITE} ${READ}` }, 'wrong_token'],
    ['a cookie', { cookie: `token=${WRITE}` }, 'no_token'],
    ['a session that is none', { cookie: `receiver=${WRITE}` }, 'session_ended'],
  ])('%s is nobody: 401, told as any refused call, and without what was sent', async (_name, headers, reason) => {
    const { metrics, app, refused } = rig()
    for (const call of [request(metrics).get(`/metrics?token=${WRITE}`), request(app).post('/write').send('x=1')]) {
      const answer = await call.set(headers).expect(401, { error: 'unauthorized' })
      expect(answer.headers).toMatchObject({ 'www-authenticate': 'Bearer', 'cache-control': 'no-store' })
    }
    const refusal = { endpoint: 'operator', status: 401, reason, peer: '127.0.0.1' }
    expect(refused).toEqual([refusal, refusal])
  })

  it('the scheme is of any case, as HTTP has it', async () => {
    await request(rig().metrics)
      .get('/metrics')
      .set({ authorization: `bearer  ${READ}` })
      .expect(200)
  })

  it('what is sent is at most 64 KiB, and is read only of those who may call', async () => {
    const { app, events, refused } = rig()
    const { port, close } = await listen(app, '127.0.0.1', 0, events)
    onTestFinished(() => close(0))
    const most = 64 * 1024
    const send = (path: string, headers: Record<string, string>, body: string) =>
      exchangeRaw(port, head(path, { connection: 'close', ...headers }, 'POST') + body)
    const sized = (length: number) => ({ 'content-length': String(length) })

    expect(await send('/write', { ...bearer(WRITE), ...sized(most) }, 'x'.repeat(most))).toMatch(/^HTTP\/1\.1 200 /)
    expect(await send('/write', { ...bearer(WRITE), ...sized(most + 1) }, '')).toMatch(/^HTTP\/1\.1 413 /)
    const chunk = `${(most + 1).toString(16)}\r\n${'x'.repeat(most + 1)}\r\n0\r\n\r\n`
    const chunked = { 'transfer-encoding': 'chunked' }
    expect(await send('/read', { ...bearer(READ), ...chunked }, chunk)).toMatch(/^HTTP\/1\.1 413 /)
    expect(await send('/write', sized(most + 1), '')).toMatch(/^HTTP\/1\.1 401 /)
    expect(refused.map(({ reason }) => reason)).toEqual(['too_large', 'too_large', 'no_token'])
  })
})

describe('guessing', () => {
  it('is slowed down from the fourth failure in a minute; whoever has a token never waits', async () => {
    const { metrics, clock } = rig()
    const guess = () => request(metrics).get('/metrics').set(bearer('a-wrong-token-of-16'))
    for (let failure = 1; failure <= 3; failure++) await guess().expect(401)
    for (const ms of [100, 200, 400, 800, 1_600, 2_000, 2_000]) {
      const slowed = guess().then(({ status }) => status)
      await clock.sleeping(ms)
      await request(metrics).get('/metrics').set(bearer(READ)).expect(200)
      clock.advance(ms)
      expect(await slowed).toBe(401)
    }
    clock.advance(60_000)
    await guess().expect(401)
  })

  it('more than 64 that wait are told to come later', async () => {
    const { metrics, clock, refused } = rig()
    const guess = () => request(metrics).get('/metrics').set(bearer('a-wrong-token-of-16'))
    for (let failure = 1; failure <= 3; failure++) await guess().expect(401)
    const waiting = Array.from({ length: 64 }, () => guess().then(({ status }) => status))
    await clock.untilAsleep(64)
    const answer = await guess().expect(429, { error: 'slow_down' })
    expect(answer.headers).toMatchObject({ 'retry-after': '60', 'cache-control': 'no-store' })
    clock.advance(2_000)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([401]))
    expect(refused.filter(({ reason }) => reason === 'slow_down')).toHaveLength(1)
  })

  it('one that hangs up makes room for another', async () => {
    const clock = createManualClock()
    const slowDown = createSlowDown({ clock })
    const [leaving, staying] = [new AbortController(), new AbortController()]
    for (let failure = 1; failure <= 3; failure++) await slowDown.failed(staying.signal)
    const first = slowDown.failed(leaving.signal)
    for (let more = 1; more < 64; more++) void slowDown.failed(staying.signal)
    expect(await slowDown.failed(staying.signal)).toBe('too_many')
    leaving.abort()
    expect(await first).toBe('done')
    const next = slowDown.failed(staying.signal)
    clock.advance(2_000)
    expect(await next).toBe('done')
  })
})
