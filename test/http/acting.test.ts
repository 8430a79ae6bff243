import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { attempt, claimFrom, done } from '../inbox/contract/support.ts'
import { delivery, testService } from '../support/service.ts'

/** What is done over HTTP is noted under the caller's name, and what is refused is not. */

const WRITE = 'a-token-that-writes'
const READ = 'a-token-that-reads-1'
const SAME = { 'sec-fetch-site': 'same-origin' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function start(env: Record<string, string> = {}) {
  const tokens = { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ, WORKER_CONCURRENCY: '0' }
  const service = await testService({ store: 'memory', env: { ...tokens, ...env } })
  const { inbox, url } = service
  await inbox.accept(delivery('done', { svixId: 'msg_done' }))
  for (const claim of await claimFrom(inbox, 1)) await inbox.settle(claim, done(claim), attempt('x', 'Completed'), null)
  await inbox.accept({ ...delivery('x'), svixId: 'msg_odd', body: '{"a":1}', content: { is: 'ignored' } })
  return {
    ...{ inbox, url },
    call(method: 'post' | 'delete', path: string, headers: Record<string, string>, body: object = {}) {
      const asked = request(url)[method](path).set(headers)
      return method === 'post' ? asked.send(body) : asked
    },
    /** Who did what, the newest first: as the log of actions has it, and as the metrics count it. */
    async noted() {
      const { body } = await request(url).get('/api/actions').set(bearer(READ)).expect(200)
      return body.actions as { who: string; role: string; what: string; ids: string[]; count: number }[]
    },
    async counted() {
      const { text } = await request(url).get('/metrics').set(bearer(READ)).expect(200)
      const found = text.matchAll(/^reducto_receiver_operator_actions_total\{action="(\w+)"\} ([1-9]\d*)$/gm)
      return Object.fromEntries([...found].map(([, action, count]) => [action, Number(count)]))
    },
  }
}

async function session(url: string, name: string): Promise<Record<string, string>> {
  const answer = await request(url).post('/sign-in').set(SAME).type('form').send({ token: WRITE, name }).expect(303)
  return { ...SAME, cookie: answer.headers['set-cookie']![0]!.split(';')[0]! }
}

describe('what is done over HTTP', () => {
  it('is noted, each kind of it, under the role of a token without a name', async () => {
    const on = await start()
    await on.call('post', '/api/jobs/done/retry', bearer(WRITE)).expect(200)
    await on.call('post', '/api/retry', bearer(WRITE), { ids: ['done'] }).expect(200)
    await on.call('post', '/api/worker/pause', bearer(WRITE), { reason: 'upgrade' }).expect(200)
    await on.call('post', '/api/worker/resume', bearer(WRITE)).expect(200)
    await on.call('post', '/api/erase', bearer(WRITE), { ids: ['done'] }).expect(200)
    await on.call('delete', '/api/jobs/done', bearer(WRITE)).expect(200)
    const by = { who: 'write', role: 'write' }
    const one = { ids: ['done'], count: 1 }
    expect(await on.noted()).toMatchObject([
      { ...by, ...one, what: 'erase' },
      { ...by, ...one, what: 'erase' },
      { ...by, what: 'resume', ids: [], count: 0 },
      { ...by, what: 'pause', filter: { reason: 'upgrade' } },
      { ...by, ...one, what: 'retry' },
      { ...by, ...one, what: 'retry' },
    ])
    expect(await on.counted()).toEqual({ retry: 2, pause: 1, resume: 1, erase: 2 })
    const { body } = await request(on.url).get('/api/jobs/done').set(bearer(READ)).expect(200)
    expect(body.actions.map(({ what }: { what: string }) => what)).toEqual(['erase', 'erase', 'retry', 'retry'])
  })

  it('is noted under the name of the session', async () => {
    const on = await start()
    const headers = await session(on.url, '  Grace \u0007 Hopper ')
    await on.call('post', '/api/jobs/done/retry', headers).expect(200)
    await on.call('delete', '/api/jobs/done', headers).expect(200)
    expect(await on.noted()).toMatchObject([
      { who: 'Grace Hopper', what: 'erase' },
      { who: 'Grace Hopper', what: 'retry' },
    ])
  })

  it('is noted under the name that a trusted proxy gives, and under no other one', async () => {
    const forwarded = { 'x-forwarded-user': 'ada@example.com' }
    const trusting = await start({ TRUST_PROXY: 'loopback' })
    await trusting.call('post', '/api/worker/pause', { ...bearer(WRITE), ...forwarded }).expect(200)
    const headers = { ...(await session(trusting.url, 'Mallory')), ...forwarded }
    await trusting.call('post', '/api/worker/resume', headers).expect(200)
    expect((await trusting.noted()).map(({ who }) => who)).toEqual(['ada@example.com', 'ada@example.com'])
    const other = await start()
    await other.call('post', '/api/worker/pause', { ...bearer(WRITE), ...forwarded }).expect(200)
    expect(await other.noted()).toMatchObject([{ who: 'write', what: 'pause' }])
  })

  it('is not noted when it is refused, asks only, or is for nothing', async () => {
    const on = await start()
    const refused: [number, 'post' | 'delete', string, Record<string, string>, object?][] = [
      [401, 'post', '/api/worker/pause', {}],
      [401, 'post', '/api/worker/pause', bearer('a-wrong-token-of-16')],
      [403, 'post', '/api/jobs/done/retry', bearer(READ)],
      [403, 'delete', '/api/jobs/done', bearer(READ)],
      [403, 'post', '/api/erase', bearer(READ), { ids: ['done'] }],
      [403, 'post', '/api/worker/pause', { cookie: (await session(on.url, 'Eve')).cookie! }],
      [400, 'post', '/api/worker/pause', bearer(WRITE), { reason: '' }],
      [400, 'post', '/api/retry', bearer(WRITE), {}],
      [404, 'post', '/api/jobs/nobody/retry', bearer(WRITE)],
      [404, 'delete', '/api/jobs/nobody', bearer(WRITE)],
      [409, 'post', '/api/retry', bearer(WRITE), { state: 'done', expect: 0 }],
      [409, 'post', '/api/erase', bearer(WRITE), { state: 'done', until: '2099-01-01T00:00Z', expect: 0 }],
      [409, 'post', '/api/deliveries/msg_done/retry', bearer(WRITE)],
      [200, 'post', '/api/retry', bearer(WRITE), { state: 'done', dry_run: true }],
      [200, 'post', '/api/erase', bearer(WRITE), { state: 'done', dry_run: true }],
      [200, 'post', '/api/retry', bearer(WRITE), { state: 'dead' }],
      [200, 'post', '/api/deliveries/msg_odd/retry', bearer(WRITE)],
    ]
    for (const [status, method, path, headers, body] of refused)
      await on.call(method, path, headers, body).expect(status)
    expect(await on.noted()).toEqual([])
    expect(await on.counted()).toEqual({})
    expect(await on.inbox.stats()).toMatchObject({ jobs: { done: 1 }, paused: false })
  })
})
