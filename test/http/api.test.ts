import { once } from 'node:events'
import { createServer, request as outgoing } from 'node:http'
import { Validator } from '@seriousme/openapi-schema-validator'
import express from 'express'
import request from 'supertest'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { apiRoutes, apiTable } from '../../src/http/api/api.ts'
import type { ApiRoute, Work } from '../../src/http/api/table.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { delivery, event, type TestService, testService } from '../support/service.ts'

const WRITE = 'a-token-that-writes'
const READ = 'a-token-that-reads-1'
const ENV = { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ }
const TABLE = apiTable('1.0.0')
const SAME = { 'sec-fetch-site': 'same-origin' }

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** A service with a done job, a dead one and an ignored delivery. Nothing of it moves by itself. */
async function startService(env: Record<string, string> = {}) {
  const events = createEvents()
  const service = await testService({ store: 'memory', env: { ...ENV, ...env }, events })
  const { reducto, inbox } = service
  const done = reducto.addJob({ kind: 'extract' })
  const saved = event(events, 'settled', ({ jobId, state }) => jobId === done && state === 'done')
  await inbox.accept(
    delivery(done, { svixId: 'msg_done', metadata: { user_id: 12345678901234567890n.toString(), n: 1 } }),
  )
  await saved
  await inbox.pause(true)
  const dead = reducto.addJob({ kind: 'parse' })
  await inbox.accept(delivery(dead, { svixId: 'msg_dead' }))
  await inbox.accept({ ...delivery('x'), svixId: 'msg_ignored', body: '{"success":true}', content: { is: 'ignored' } })
  return { ...service, done, queued: dead }
}

type Started = Awaited<ReturnType<typeof startService>>

async function sessionOf(url: string, token: string): Promise<Record<string, string>> {
  const answer = await request(url).post('/sign-in').set(SAME).type('form').send({ token }).expect(303)
  return { ...SAME, cookie: answer.headers['set-cookie']![0]!.split(';')[0]! }
}

/** A good request of each route, by its path. A route without one fails its tests. */
const BODIES: Readonly<Record<string, (started: Started) => object>> = {
  '/api/retry': ({ queued }) => ({ ids: [queued] }),
  '/api/erase': ({ queued }) => ({ ids: [queued] }),
}

function call(started: Started & { at?: string }, { method, path }: ApiRoute, headers: Record<string, string>) {
  const url = path.replace(':job_id', started.done).replace(':svix_id', 'msg_ignored').replace('*file', 'job.json')
  const asked = request(started.at ?? started.url)
    [method.toLowerCase() as 'get' | 'post' | 'put' | 'delete'](url)
    .set(headers)
  const body = BODIES[path]
  return body ? asked.send(body(started)) : asked
}

describe.each(TABLE)('$method $path', (route) => {
  it('is for those who may, by token and by session, and a reader changes nothing', async () => {
    const started = await startService()
    const changing = ['requeue', 'erase', 'expect', 'reread', 'pause', 'accept', 'prune'] as const
    const spies = changing.map((name) => vi.spyOn(started.inbox, name))
    const isRead = route.caller === 'read'
    expect(isRead).toBe(route.method === 'GET')

    await call(started, route, {}).expect(401, { error: 'unauthorized' })
    await call(started, route, bearer('a-wrong-token-of-16')).expect(401, { error: 'unauthorized' })
    await call(started, route, { cookie: 'receiver=v1.write.9999999999..x', ...SAME }).expect(401)
    for (const headers of [bearer(READ), await sessionOf(started.url, READ)])
      await call(started, route, headers).expect(isRead ? 200 : 403)
    const { 'sec-fetch-site': _, ...elsewhere } = await sessionOf(started.url, WRITE)
    await call(started, route, elsewhere).expect(isRead ? 200 : 403)
    for (const spy of spies) expect(spy).not.toHaveBeenCalled()

    const answer = await call(started, route, bearer(WRITE)).expect(200)
    await call(started, route, await sessionOf(started.url, WRITE)).expect(200)
    expect(answer.headers).toMatchObject({
      'cache-control': expect.stringContaining('no-store'),
      'x-robots-tag': 'noindex',
    })
    if (route.answer !== null) expect(route.answer.safeParse(JSON.parse(answer.text)).error).toBeUndefined()
  })
})

describe('the API', () => {
  let started: Started
  beforeEach(async () => {
    started = await startService()
  })
  const get = (path: string, token = READ) => request(started.url).get(path).set(bearer(token))
  const post = (path: string, body: object = {}) => request(started.url).post(path).set(bearer(WRITE)).send(body)

  it.each(TABLE)('$method $path: HEAD, OPTIONS and other methods', async ({ path }) => {
    const url = path.replace(':job_id', started.done).replace(':svix_id', 'msg_ignored').replace('*file', 'job.json')
    const methods = TABLE.filter((one) => one.path === path).map(({ method }) => method)
    await request(started.url).options(url).expect(401)
    const refused = await request(started.url)
      .options(url)
      .set(bearer(READ))
      .expect(405, { error: 'method_not_allowed' })
    expect(refused.headers.allow?.split(', ')).toEqual(
      methods.includes('GET') ? expect.arrayContaining(['GET', 'HEAD']) : methods,
    )
    await request(started.url).patch(url).set(bearer(WRITE)).expect(405)
    await request(started.url)
      .head(url)
      .set(bearer(READ))
      .expect(methods.includes('GET') ? 200 : 405)
    await request(started.url).head(url).expect(401)
  })

  it('says in OpenAPI 3.1 what it has', async () => {
    const { body } = await get('/api/openapi.json').expect(200)
    const { valid, errors } = await new Validator().validate(structuredClone(body))
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    const told = Object.entries(body.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(told.toSorted()).toEqual(
      TABLE.map(({ method, path }) => `${method} ${path.replaceAll(/[:*](\w+)/g, '{$1}')}`).toSorted(),
    )
    expect(body.paths['/api/jobs'].get.parameters).toContainEqual({
      name: 'limit',
      in: 'query',
      description: 'how many at most (50)',
      schema: { type: 'integer', minimum: 1, maximum: 500, pattern: '^[1-9]\\d{0,2}$' },
    })
  })

  it('lists jobs as the command line does, and pages', async () => {
    const first = (await get('/api/jobs?limit=1').expect(200)).body
    expect(first).toMatchObject({
      jobs: [{ job_id: started.queued, state: 'queued', due_at: expect.stringMatching(/Z$/) }],
    })
    const second = (await get(`/api/jobs?limit=1&cursor=${first.next}`).expect(200)).body
    expect(second.jobs).toMatchObject([{ job_id: started.done, metadata: { n: 1 } }])
    const one = (await get('/api/jobs?metadata.n=1&state=done&since=1h&until=2099-01-01T00:00Z').expect(200)).body
    expect(one.jobs).toHaveLength(1)
    expect((await get('/api/jobs?metadata.n=2')).body.jobs).toEqual([])
    expect((await get('/api/jobs?metadata.__proto__=2')).body.jobs).toEqual([])
  })

  it.each<[query: string, path: string, message: RegExp]>([
    ['sate=dead', 'sate', /did you mean state/],
    ['state=deed', 'state', /dead/],
    ['state=dead&state=done', 'state', /more than once/],
    ['limit=0', 'limit', /1 to 500/],
    ['limit=501', 'limit', /1 to 500/],
    ['limit=1e2', 'limit', /1 to 500/],
    ['limit=-1', 'limit', /1 to 500/],
    ['limit=', 'limit', /1 to 500/],
    ['cursor=x', 'cursor', /next/],
    ['cursor=1%00', 'cursor', /next/],
    ['since=yesterday', 'since', /duration/],
    ['until=', 'until', /duration/],
    ['metadata=a', 'metadata', /KEY=VALUE/],
    ['metadata.=a', 'metadata', /object/],
    ['metadata.a=1&metadata.a=2', 'metadata.a', /more than once/],
    ['q=', 'q', /./],
    [`q=${'x'.repeat(501)}`, 'q', /500/],
    ['__proto__=1', '__proto__', /not known/],
    ['constructor=1', 'constructor', /not known/],
    ['state[]=dead', 'state[]', /state/],
    ['metadata[a]=1', 'metadata[a]', /not known/],
    ['%FF=1', '\ufffd', /not known/],
  ])('refuses ?%s', async (query, path, message) => {
    const { body } = await get(`/api/jobs?${query}`).expect(400)
    expect(body).toEqual({ error: 'invalid_query', issues: [{ path, message: expect.stringMatching(message) }] })
  })

  it.each<[path: string, body: string]>([
    ['/api/retry', '[]'],
    ['/api/retry', '"x"'],
    ['/api/retry', '{'],
    ['/api/retry', ''],
    ['/api/retry', '{}'],
    ['/api/retry', '{"until":"1h"}'],
    ['/api/retry', '{"type":"Parse"}'],
    ['/api/retry', '{"state":"dead","ids":["a"]}'],
    ['/api/retry', '{"ids":[]}'],
    ['/api/retry', '{"ids":["../x"]}'],
    ['/api/retry', '{"state":"dead","expect":-1}'],
    ['/api/retry', '{"state":"dead","dry_run":"yes"}'],
    ['/api/retry', '{"state":"dead","dryrun":true}'],
    ['/api/erase', '{"metadata":{}}'],
    ['/api/erase', '{"metadata":{"a":1},"dry_run":true}'],
    ['/api/erase', '{"metadata":{"a":"1"}}'],
    ['/api/erase', '{"metadata":{"a":"1"},"expect":1}'],
    ['/api/erase', '{"__proto__":{"state":"done"},"dry_run":true}'],
    ['/api/worker/pause', '{"reason":""}'],
    [`/api/worker/pause`, `{"reason":"${'x'.repeat(201)}"}`],
    ['/api/worker/resume', '{"reason":"x"}'],
    ['/api/jobs/j-1/retry', '{"refetch":1}'],
  ])('POST %s refuses %s', async (path, body) => {
    const answer = await request(started.url).post(path).set(bearer(WRITE)).type('json').send(body).expect(400)
    expect(answer.body).toMatchObject({ error: 'invalid_query', issues: [{ message: expect.any(String) }] })
  })

  it('a filter on __proto__ is a filter', async () => {
    const body = '{"metadata":{"__proto__":"x"},"dry_run":true}'
    const answer = await request(started.url).post('/api/erase').set(bearer(WRITE)).type('json').send(body).expect(200)
    expect(answer.body).toMatchObject({ count: 0 })
  })

  it('an id is a whole one', async () => {
    for (const id of [started.done.slice(0, 8), 'nobody', '..%2f..', 'a'.repeat(129), '%00']) {
      await get(`/api/jobs/${id}`).expect(404, { error: 'not_found' })
      await post(`/api/jobs/${id}/retry`).expect(404)
      await request(started.url).delete(`/api/jobs/${id}`).set(bearer(WRITE)).expect(404)
    }
    for (const id of ['msg_', 'msg_ignore', '%25']) await get(`/api/deliveries/${id}`).expect(404)
    const { body } = await post('/api/retry', { ids: [started.done.slice(0, 8)] }).expect(200)
    expect(body).toMatchObject({ count: 0, skipped: [{ id: started.done.slice(0, 8) }] })
  })

  it('serves what a record names, so that nothing runs it', async () => {
    const { headers } = await get(`/api/jobs/${started.done}/files/job.json`).expect(200)
    expect(headers).toMatchObject({
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    })
    for (const path of ['record.json', '..%2frecord.json', 'nothing', '.hidden', 'a%00'])
      await get(`/api/jobs/${started.done}/files/${path}`).expect(404)
    await get(`/api/jobs/${started.queued}/files/job.json`).expect(404)
  })

  it('shows one delivery with its body, and says why one is not read again', async () => {
    expect((await get('/api/deliveries/msg_ignored').expect(200)).body).toMatchObject({ body: '{"success":true}' })
    expect((await get('/api/deliveries?disposition=ignored').expect(200)).body.deliveries).toHaveLength(1)
    await post('/api/deliveries/msg_done/retry').expect(409, { error: 'has_job' })
    await post('/api/deliveries/msg_ignored/retry').expect(200, { svix_id: 'msg_ignored', queued: false })
    await post('/api/deliveries/nobody/retry').expect(404)
  })

  it('tells how the service stands', async () => {
    expect((await get('/api/stats').expect(200)).body).toMatchObject({ paused: true, jobs: { queued: 1, done: 1 } })
    expect((await get('/api/status').expect(200)).body).toMatchObject({ is_running: true, jobs: { done: 1 } })
  })

  it('pauses and resumes, with a reason that holds no secret', async () => {
    await post('/api/worker/resume').expect(200)
    const { body } = await post('/api/worker/pause', { reason: `because of ${WRITE}` }).expect(200)
    expect(body).toMatchObject({ paused: true, reason: 'because of [secret]', was_paused: false })
  })
})

describe('many jobs at once', () => {
  it('never more than a dry run has counted', async () => {
    const started = await startService()
    const post = (path: string, body: object) => request(started.url).post(path).set(bearer(WRITE)).send(body)
    const filter = { state: 'done' }
    const dry = (await post('/api/erase', { ...filter, dry_run: true }).expect(200)).body
    expect(dry).toMatchObject({ count: 1, dry_run: true, named: [started.done], until: expect.stringMatching(/Z$/) })
    await post('/api/erase', { ...filter, until: dry.until, expect: 0 }).expect(409, { error: 'changed', count: 1 })
    await post('/api/retry', { ...filter, until: dry.until, expect: 0 }).expect(409, { error: 'changed', count: 1 })
    const done = await post('/api/erase', { ...filter, until: dry.until, expect: dry.count }).expect(200)
    expect(done.body).toMatchObject({ count: 1, dry_run: false })
    await post(`/api/jobs/${started.done}/retry`, {}).expect(409, { error: 'erased' })
  })

  it('a job that is being worked on is left alone', async () => {
    const started = await startService()
    vi.spyOn(started.inbox, 'get').mockResolvedValue({
      jobId: 'j',
      state: 'running',
      isRunning: true,
      reason: null,
    } as never)
    await request(started.url).post('/api/jobs/j/retry').set(bearer(WRITE)).expect(409, { error: 'running' })
    await request(started.url).delete('/api/jobs/j').set(bearer(WRITE)).expect(409, { error: 'running' })
  })
})

describe('what holds up the inbox', () => {
  it('more than four questions at once are told to come back', async () => {
    const started = await startService()
    const held = Promise.withResolvers<never>()
    const four = Promise.withResolvers<void>()
    let asked = 0
    vi.spyOn(started.inbox, 'stats').mockImplementation(() => {
      if (++asked === 4) four.resolve()
      return held.promise
    })
    const ask = () => request(started.url).get('/api/stats').set(bearer(READ))
    const waiting = Array.from({ length: 4 }, () => ask().then(({ status }) => status))
    await four.promise
    const { headers } = await ask().expect(503, { error: 'busy' })
    expect(headers['retry-after']).toBe('1')
    held.reject(new (await import('../../src/inbox/inbox.ts')).InboxUnavailable('closed', 'closed'))
    expect(await Promise.all(waiting)).toEqual([503, 503, 503, 503])
  })
})

describe('a store of results that hangs', () => {
  it('ends the call, and gives its place back', async () => {
    const started = await startService()
    const record = (_id: string, signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const work = { ledger: started.inbox, results: { ...started.results, record } } as unknown as Work
    const app = express()
    const known: express.RequestHandler = (_request, response, next) => {
      response.locals.body = Buffer.alloc(0)
      response.locals.identity = { role: 'read', who: 'read', by: 'bearer' }
      next()
    }
    for (const { path, handle } of apiRoutes({ work: () => work, version: '1.0.0', timeout: 20 }))
      if (path === '/api/jobs/:job_id') app.get(path, known, handle)
    for (let call = 1; call <= 5; call++)
      await request(app).get(`/api/jobs/${started.done}`).expect(503, { error: 'unavailable' })
  })
})

describe('where it is', () => {
  it('on ADMIN_PORT alone, if that is set', async () => {
    const started = await startService({ ADMIN_PORT: '0' })
    const at = `http://127.0.0.1:${started.adminPort}`
    for (const route of TABLE) {
      await call(started, route, bearer(WRITE)).expect(404, { error: 'not_found' })
      await call({ ...started, at }, route, {}).expect(401)
    }
    await request(at).get('/api/stats').set(bearer(READ)).expect(200)
    await request(started.url).get('/sign-in').expect(404)
    await request(at).get('/sign-in').expect(200)
    await request(at).post('/webhook').expect(404)
  })

  it('below the prefix of a proxy that strips it and rewrites Host, with no setting', async () => {
    const started = await startService()
    const proxy = createServer((asked, answer) => {
      const path = asked.url!.replace(/^\/tools\/receiver/, '')
      const { method, headers } = asked
      const options = { port: started.port, host: '127.0.0.1', path, method, headers: { ...headers, host: 'inner:1' } }
      const passed = outgoing(options, (from) => {
        answer.writeHead(from.statusCode!, from.headers)
        from.pipe(answer)
      })
      asked.pipe(passed)
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void proxy.close())
    await once(proxy, 'listening')
    const url = `http://127.0.0.1:${(proxy.address() as { port: number }).port}/tools/receiver`

    const session = await sessionOf(url, WRITE)
    await request(url).get('/api/jobs').set(session).expect(200)
    await request(url).post('/api/worker/resume').set(session).expect(200)
    const { body } = await request(url).get('/api/openapi.json').set(session).expect(200)
    const at = new URL(body.servers[0].url, `${url}/api/openapi.json`).href
    await request(`${at.replace(/\/$/, '')}`)
      .get('/api/stats')
      .set(session)
      .expect(200)
  })

  it('nowhere without ADMIN_TOKEN', async () => {
    const service: TestService = await testService({ store: 'memory' })
    for (const path of [...TABLE.map((route) => route.path), '/sign-in', '/sign-out'])
      await request(service.url).get(path).set(bearer(WRITE)).expect(404, { error: 'not_found' })
  })
})

describe('a job that was submitted', () => {
  const put = (url: string, jobId: string, body: string | object) =>
    request(url).put(`/api/jobs/${jobId}`).set(bearer(WRITE)).set('content-type', 'application/json').send(body)

  it('is expected from then on, with its metadata to the digit, and its webhook queues it', async () => {
    const { url, inbox } = await startService()
    const metadata = '{"order":12345678901234567890,"price":1.10}'
    await put(url, 'job-1', `{"metadata":${metadata},"endpoint":"default"}`).expect(200, {
      job_id: 'job-1',
      known: false,
    })
    const shown = await request(url).get('/api/jobs/job-1').set(bearer(READ)).expect(200)
    expect(shown.text).toContain(metadata)
    expect(shown.body).toMatchObject({ state: 'expected', registered: { by: 'api' } })
    await inbox.accept(delivery('job-1'))
    await put(url, 'job-1', {}).expect(200, { job_id: 'job-1', known: true })
    expect(await inbox.get('job-1')).toMatchObject({ state: 'queued' })
  })

  it('is not registered with what is wrong', async () => {
    const { url, inbox } = await startService()
    await put(url, 'a.b', {}).expect(404)
    for (const body of [{ endpoint: 'nowhere' }, { endpoint: 7 }, { metdata: {} }, '{"metadata":'])
      expect((await put(url, 'job-1', body)).body, JSON.stringify(body)).toMatchObject({ error: 'invalid_query' })
    expect(await inbox.get('job-1')).toBeNull()
  })
})
