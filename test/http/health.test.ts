import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { createApp } from '../../src/http/app.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { testService } from '../support/service.ts'

const DISK = {
  name: 'disk',
  message: createScrub([])('the disk is full'),
  since: Date.parse('2026-01-02T03:04:05Z'),
} as const

describe('health', () => {
  it('is alive and ready once it has started', async () => {
    const { url } = await testService()
    expect((await request(url).get('/healthz')).status).toBe(200)
    const ready = await request(url).get('/readyz')
    expect([ready.status, ready.body]).toEqual([200, { status: 'ready' }])
  })

  it.each(['starting', 'draining', 'inbox', 'inbox_locked'] as const)(
    'is alive but not ready while %s',
    async (reason) => {
      const app = createApp({
        receiver: () => null,
        health: () => ({ notReady: [reason], degraded: [DISK] }),
        events: createEvents(),
      })
      expect((await request(app).get('/healthz')).status).toBe(200)
      const ready = await request(app).get('/readyz')
      expect([ready.status, ready.body]).toEqual([503, { not_ready: [reason] }])
    },
  )

  it('is ready with trouble behind the inbox, and says which', async () => {
    const app = createApp({
      receiver: () => null,
      health: () => ({ notReady: [], degraded: [DISK, { ...DISK, name: 'handler', waiting: 7, oldest: DISK.since }] }),
      events: createEvents(),
    })
    const ready = await request(app).get('/readyz')
    const disk = { message: 'the disk is full', since: '2026-01-02T03:04:05.000Z' }
    const details = { disk, handler: { ...disk, waiting: 7, oldest: '2026-01-02T03:04:05.000Z' } }
    expect([ready.status, ready.body]).toEqual([200, { degraded: ['disk', 'handler'], details }])
  })

  it('tells that it is paused by an operator', async () => {
    const service = await testService()
    await service.inbox.pause(true)
    const { body } = await request(service.url).get('/readyz')
    expect(body).toMatchObject({
      degraded: ['worker_paused'],
      details: { worker_paused: { message: expect.stringContaining('operator') } },
    })
    await service.inbox.pause(false)
    expect((await request(service.url).get('/readyz')).body).toEqual({ status: 'ready' })
  })
})

describe('every other path', () => {
  it.each(['/', '/api/jobs', '/metrics', '/webhooks', '/webhook/a/b/c'])(
    '%s: 404 in JSON, and nothing about what runs here',
    async (path) => {
      const { url } = await testService()
      const response = await request(url).get(path)
      expect([response.status, response.body]).toEqual([404, { error: 'not_found' }])
      expect(response.headers).not.toHaveProperty('x-powered-by')
    },
  )

  it('a path that cannot be decoded is a 400', async () => {
    const { url } = await testService()
    const response = await request(url).post('/webhook/%E0%A4%A')
    expect([response.status, response.body]).toEqual([400, { error: 'bad_request' }])
  })
})
