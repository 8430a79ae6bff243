import request from 'supertest'
import { describe, expect, it, vi } from 'vitest'
import { createEvents } from '../../src/telemetry/events.ts'
import { parsePrometheus, sampleValue } from '../support/prometheus.ts'
import { delivery, event, signed, testService } from '../support/service.ts'

const WRITE = 'a-token-that-writes'
const READ = 'a-token-that-reads-1'
const TOKENS = { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ }

async function scrape(url: string, token = READ): Promise<string> {
  const answer = await request(url)
    .get('/metrics')
    .set({ authorization: `Bearer ${token}` })
    .expect(200)
  parsePrometheus(answer.text)
  return answer.text
}

describe('GET /metrics of a service', () => {
  it('follows a delivery from its acknowledgement to its end', async () => {
    const events = createEvents()
    const { url, secret, reducto } = await testService({ env: TOKENS, events })
    const jobId = reducto.addJob({ kind: 'extract' })
    const done = event(events, 'settled', ({ state }) => state === 'done')
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    await request(url).post('/webhook').set(signed(secret, body)).send(body).expect(200)
    await request(url).post('/webhook').send(body).expect(401)
    await done

    const text = await scrape(url)
    expect(sampleValue(text, 'deliveries_total', { endpoint: 'default', outcome: 'accepted' })).toBe(1)
    expect(sampleValue(text, 'refused_total', { endpoint: 'default', reason: 'missing_headers' })).toBe(1)
    expect(sampleValue(text, 'acknowledgement_seconds_count')).toBe(1)
    expect(sampleValue(text, 'commit_seconds_count')).toBeGreaterThan(1)
    expect(sampleValue(text, 'commit_failures_total')).toBe(0)
    expect(sampleValue(text, 'settled_total', { type: 'Extract', outcome: 'done' })).toBe(1)
    expect(sampleValue(text, 'saved_seconds_count')).toBe(1)
    expect(sampleValue(text, 'done_seconds_count')).toBe(1)
    expect(sampleValue(text, 'saved_bytes_total')).toBeGreaterThan(0)
    expect(sampleValue(text, 'jobs', { state: 'done' })).toBe(1)
    expect(sampleValue(text, 'inbox_bytes', { part: 'database' })).toBeGreaterThan(0)
    expect(sampleValue(text, 'free_disk_bytes', { store: 'results' })).toBeGreaterThan(0)
    expect(sampleValue(text, 'last_verified_delivery_timestamp_seconds', { endpoint: 'default' })).toBeGreaterThan(0)
    expect(sampleValue(text, 'ready')).toBe(1)
    expect(sampleValue(text, 'build_info', { inbox: 'sqlite', results: 'file', handler: 'none' })).toBe(1)
    for (const words of [secret.slice(6), reducto.apiKey, READ, WRITE, jobId]) expect(text).not.toContain(words)
    // What the first look asked is seen by the next one.
    expect(sampleValue(await scrape(url, WRITE), 'read_seconds_count', { question: 'stats' })).toBeGreaterThan(0)
  })

  it('tells how far the index of search is, and how large', async () => {
    const { url, inbox } = await testService({ env: TOKENS })
    await inbox.accept(delivery('job-1', { metadata: { name: 'needle' } }))
    await vi.waitFor(async () => expect(await inbox.searchLag()).toBe(0), { timeout: 10_000 })
    const text = await scrape(url)
    expect(sampleValue(text, 'search_lag_rows')).toBe(0)
    expect(sampleValue(text, 'inbox_bytes', { part: 'search' })).toBeGreaterThan(0)
  })

  it('does not exist without ADMIN_TOKEN', async () => {
    const { url } = await testService({ store: 'memory' })
    await request(url)
      .get('/metrics')
      .set({ authorization: `Bearer ${READ}` })
      .expect(404, { error: 'not_found' })
  })

  it('tells wrong tokens', async () => {
    const { url } = await testService({ store: 'memory', env: TOKENS })
    await request(url).get('/metrics').set({ authorization: 'Bearer a-wrong-token-of-16' }).expect(401)
    await request(url).get('/metrics').expect(401)
    const text = await scrape(url)
    expect(sampleValue(text, 'sign_in_failures_total')).toBe(1)
    expect(sampleValue(text, 'refused_total', { endpoint: 'operator', reason: 'wrong_token' })).toBe(1)
    expect(sampleValue(text, 'refused_total', { endpoint: 'operator', reason: 'no_token' })).toBe(1)
  })

  it('shows a pause of an operator', async () => {
    const { url, inbox } = await testService({ env: TOKENS })
    await inbox.pause(true)
    const text = await scrape(url)
    expect(sampleValue(text, 'paused', { cause: 'operator' })).toBe(1)
    expect(sampleValue(text, 'paused', { cause: 'disk' })).toBe(0)
  })
})

describe('with ADMIN_PORT', () => {
  it('the operator’s routes are there alone, and nowhere else', async () => {
    const service = await testService({ store: 'memory', env: { ...TOKENS, ADMIN_PORT: '0' } })
    const admin = `http://127.0.0.1:${service.adminPort}`
    expect(service.adminPort).not.toBe(service.port)
    expect(sampleValue(await scrape(admin), 'ready')).toBe(1)
    await request(service.url)
      .get('/metrics')
      .set({ authorization: `Bearer ${READ}` })
      .expect(404)
    for (const path of ['/webhook', '/readyz', '/healthz']) await request(admin).get(path).expect(404)
    await request(admin).post('/webhook').expect(404)
    await request(service.url).get('/readyz').expect(200)
    await service.stop()
    await expect(fetch(`${admin}/metrics`)).rejects.toThrow()
  })

  it('a port that is taken is told by that name, and nothing stays open', async () => {
    const other = await testService({ store: 'memory' })
    const taken = testService({ store: 'memory', env: { ...TOKENS, ADMIN_PORT: String(other.port) } })
    await expect(taken).rejects.toThrow(
      `port ${other.port} is in use: stop the process that listens there, or set ADMIN_PORT`,
    )
  })
})
