import request from 'supertest'
import { beforeEach, describe, expect, it } from 'vitest'
import { purgeAt } from '../../src/purge.ts'
import { createEvents, type EventBus } from '../../src/telemetry/events.ts'
import { attempt, because, claimFrom, progress } from '../inbox/contract/support.ts'
import { delivery, event, type TestService, testService } from '../support/service.ts'

/** Why jobs died, who did what, and what was counted, over HTTP; and that what is done over HTTP is noted. */

const WRITE = 'a-token-that-writes'
const READ = 'a-token-that-reads-1'
const ENV = { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ, WORKER_CONCURRENCY: '0' }
const MINUTE = 60_000
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

let service: TestService
let events: EventBus
beforeEach(async () => {
  events = createEvents()
  service = await testService({ store: 'memory', env: ENV, events })
})

const get = (path: string) => request(service.url).get(path).set(bearer(READ))
const post = (path: string, body: object = {}, headers: Record<string, string> = bearer(WRITE)) =>
  request(service.url).post(path).set(headers).send(body)

async function die(ids: readonly string[], message: string, metadata: unknown = null): Promise<void> {
  for (const id of ids) await service.inbox.accept(delivery(id, { metadata }))
  for (const claim of await claimFrom(service.inbox, ids.length)) {
    const reason = because('http_500', message)
    await service.inbox.settle(claim, progress(claim, { state: 'dead', reason }), attempt('dead', null), null)
  }
}

describe('causes', () => {
  it('are listed, and are a filter of lists, retries and erasures', async () => {
    await die(['a1', 'a2'], 'customer 17 is unknown')
    await die(['b1'], 'out of luck', { person: 'Ada' })
    const { body } = await get('/api/causes').expect(200)
    expect(body).toEqual({ causes: expect.any(Array), searched_to: null })
    const [luck, customer] = ['out of luck', 'customer # is unknown'].map((message) => `http_500: ${message}`)
    const found = new Map(body.causes.map((one: { cause: string }) => [one.cause, one]))
    expect(found.get(luck)).toMatchObject({ jobs: 1, sample: 'b1' })
    expect(found.get(customer)).toMatchObject({
      ...{ code: 'http_500', jobs: 2, sample: 'a2', last_at: expect.stringMatching(/Z$/) },
    })
    const listed = await get('/api/jobs').query({ cause: customer }).expect(200)
    expect(listed.body.jobs.map((job: { job_id: string }) => job.job_id)).toEqual(['a2', 'a1'])
    expect((await get('/api/jobs').query({ cause: `${customer} ` })).body.jobs).toEqual([])
    expect((await get('/api/jobs').query({ cause: customer, state: 'queued' })).body.jobs).toEqual([])
    for (const query of ['cause=', `cause=${'x'.repeat(513)}`]) await get(`/api/jobs?${query}`).expect(400)

    const dry = (await post('/api/retry', { cause: customer, dry_run: true }).expect(200)).body
    expect(dry).toMatchObject({ count: 2, named: ['a2', 'a1'] })
    await post('/api/retry', { cause: customer, until: dry.until, expect: 1 }).expect(409, {
      error: 'changed',
      count: 2,
    })
    const retried = await post('/api/retry', { cause: customer, until: dry.until, expect: dry.count }).expect(200)
    expect(retried.body).toMatchObject({ count: 2 })
    const counted = (await post('/api/erase', { cause: luck, dry_run: true }).expect(200)).body
    const erased = await post('/api/erase', { cause: luck, until: counted.until, expect: counted.count }).expect(200)
    expect(erased.body).toMatchObject({ count: 1, deliveries: 0 })
    expect((await get('/api/causes')).body).toEqual({ causes: [], searched_to: null })
  })
})

describe('an erasure by metadata', () => {
  const odd = (svixId: string) =>
    service.inbox.accept({
      ...{ ...delivery('x', { at: Date.now() - 1_000 }), svixId },
      ...{ body: '{"metadata":{"person":"Ada"}}', content: { is: 'ignored' } as const },
    })

  it('counts and bounds the deliveries that concern no job', async () => {
    await die(['a1'], 'x', { person: 'Ada' })
    await odd('msg_1')
    await odd('msg_2')
    const filter = { metadata: { person: 'Ada' } }
    const dry = (await post('/api/erase', { ...filter, dry_run: true }).expect(200)).body
    expect(dry).toMatchObject({ count: 3, deliveries: 2, named: ['a1'] })
    // One more, of before the dry run.
    await odd('msg_3')
    const bounds = { until: dry.until, expect: dry.count }
    await post('/api/erase', { ...filter, ...bounds }).expect(409, { error: 'changed', count: 4 })
    for (const id of ['msg_1', 'msg_2', 'msg_3']) expect((await service.inbox.delivery(id))!.body).not.toBeNull()
    expect((await service.inbox.bodies(['a1']))[0]).not.toBeNull()
    const { body } = await post('/api/erase', { ...filter, until: dry.until, expect: 4 }).expect(200)
    expect(body).toMatchObject({ count: 4, deliveries: 3, skipped: [] })
    for (const id of ['msg_1', 'msg_2', 'msg_3']) expect((await service.inbox.delivery(id))!.body).toBeNull()
  })
})

describe('counts', () => {
  it('are told by the minute, by name', async () => {
    const at = Math.floor(Date.now() / MINUTE) * MINUTE - MINUTE
    await service.inbox.count([{ at, counts: { accepted: 7, 'refused:no_match': 2 } }])
    const { body } = await get('/api/minutes').expect(200)
    const counts = { accepted: 7, 'refused:no_match': 2 }
    expect(body).toEqual({
      minutes: [{ at: new Date(at).toISOString(), ms: MINUTE, counts }],
      ms: MINUTE,
      searched_to: null,
    })
    expect((await get('/api/minutes?from=30m&to=20m')).body.minutes).toEqual([])
    expect((await get('/api/minutes?from=200d')).body).toMatchObject({
      ...{ minutes: [{ ms: 60 * MINUTE }], searched_to: expect.stringMatching(/Z$/) },
    })
  })

  it.each(['from=1h&to=2h', 'from=1h&to=1h', 'from=x', 'to=', 'since=1h', 'from=1h&from=2h'])(
    'refuse ?%s',
    async (query) => {
      await get(`/api/minutes?${query}`).expect(400)
    },
  )

  it('of refusals are those of the last day, also in /api/stats', async () => {
    const at = Math.floor(Date.now() / MINUTE) * MINUTE - MINUTE
    await service.inbox.count([{ at, counts: { accepted: 7, 'refused:no_match': 2 } }])
    const refusals = [{ reason: 'no_match', count: 2, last_at: new Date(at).toISOString() }]
    expect((await get('/api/refusals').expect(200)).body).toEqual({ refusals, since: expect.stringMatching(/Z$/) })
    expect((await get('/api/stats').expect(200)).body).toMatchObject({ refusals })
  })
})

describe('/api/stats', () => {
  it('tells what only Reducto has, and what stops the worker', async () => {
    const at = Date.now() - 3_600_000
    await service.inbox.accept(delivery('late', { at }))
    expect((await get('/api/stats').expect(200)).body).toMatchObject({
      results_at_risk: { jobs: 1, next: { job_id: 'late', purge_at: new Date(purgeAt(at)).toISOString() } },
      paused_by: [],
    })
    const degraded = event(events, 'degraded', ({ name }) => name === 'worker_paused')
    await post('/api/worker/pause', { reason: 'upgrade' }).expect(200)
    await degraded
    expect((await get('/api/stats').expect(200)).body).toMatchObject({
      pause: { reason: 'upgrade' },
      paused_by: ['operator'],
    })
  })
})
