import type { Express } from 'express'
import express from 'express'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { createOperator } from '../../src/http/operator.ts'
import { identityIn } from '../../src/http/session/identity.ts'
import { safeNext } from '../../src/http/session/next.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'
import type { Refused } from './rig.ts'

const WRITE = 'a-token-that-writes-1'
const READ = 'a-token-that-reads-1'
const HOURS = 3_600_000

/** The sign-in, and one route for each kind of caller below it. */
function rig(tokens = { write: [WRITE], read: [READ] }, clock = createManualClock(), trustProxy: unknown = false) {
  const events = createEvents()
  const refused: Refused[] = []
  events.on('refused', (refusal) => refused.push(refusal))
  const metrics = { contentType: 'text/plain', text: async () => '' }
  const scrub = createScrub([...tokens.write, ...tokens.read])
  const operator = createOperator(
    { tokens, clock, scrub, metrics, api: { work: () => null, version: '1.0.0' } },
    events,
  )
  const app = express()
  app.set('trust proxy', trustProxy)
  for (const { method, path, caller, handle } of operator.routes) {
    const guards = operator.guards[caller as keyof typeof operator.guards]
    app[method.toLowerCase() as 'get' | 'post'](path, ...guards, handle)
  }
  const tell = (_request: unknown, response: express.Response) => void response.json(identityIn(response))
  app.all('/read', ...operator.guards.read, tell)
  app.all('/write', ...operator.guards.write, tell)
  app.all('/', ...operator.guards.page, tell)
  app.all('/jobs/:id', ...operator.guards.page, tell)
  app.all('/form', ...operator.guards.form, tell)
  return { app, clock, refused }
}

const SAME = { 'sec-fetch-site': 'same-origin' }

function signIn(app: Express, form: Record<string, string>, headers: Record<string, string> = SAME) {
  return request(app).post('/sign-in').set(headers).type('form').send(form)
}

async function cookieOf(app: Express, form: Record<string, string>): Promise<string> {
  const { headers } = await signIn(app, form).expect(303)
  return headers['set-cookie']![0]!.split(';')[0]!
}

describe('the sign-in', () => {
  it('makes a session of a token, which knows role and name', async () => {
    const { app } = rig()
    const answer = await signIn(app, { token: WRITE, name: 'Ada Lovelace', next: 'jobs/j-1?state=dead' }).expect(303)
    expect(answer.headers.location).toBe('./jobs/j-1?state=dead')
    const [cookie = ''] = answer.headers['set-cookie'] as unknown as string[]
    expect(cookie).toMatch(/^receiver=v1\.write\.\d+\.[\w-]+\.[\w-]{43}; Max-Age=43200; HttpOnly; SameSite=Strict$/)
    const session = { cookie: cookie.split(';')[0]! }
    expect((await request(app).get('/read').set(session)).body).toEqual({
      role: 'write',
      who: 'Ada Lovelace',
      by: 'session',
    })
    const reader = { cookie: await cookieOf(app, { token: READ }) }
    expect((await request(app).get('/read').set(reader)).body).toEqual({ role: 'read', who: 'read', by: 'session' })
    await request(app).post('/write').set(reader).set(SAME).expect(403, { error: 'read_only' })
  })

  it('the cookie is for HTTPS alone when the page itself came by it', async () => {
    const { app } = rig()
    const secure = await signIn(app, { token: READ }, { ...SAME, origin: 'https://receiver.example' }).expect(303)
    expect(secure.headers['set-cookie']![0]).toMatch(/; Secure$/)
  })

  it('shows itself again for a wrong token, slowed down as any guess, with a count that Bearer shares', async () => {
    const { app, clock, refused } = rig()
    const wrong = () => signIn(app, { token: 'a-wrong-token-of-16', next: 'jobs/"><b>' })
    const answer = await wrong().expect(401)
    expect(answer.text).toContain('not valid')
    expect(answer.text).not.toContain('<b>')
    expect(answer.headers['set-cookie']).toBeUndefined()
    await request(app).get('/read').set({ authorization: 'Bearer a-wrong-token-of-16' }).expect(401)
    await wrong().expect(401)
    const slowed = wrong().then(({ status }) => status)
    await clock.sleeping(100)
    clock.advance(100)
    expect(await slowed).toBe(401)
    expect(refused.map(({ reason }) => reason)).toEqual(Array(4).fill('wrong_token'))
  })

  it.each<[name: string, headers: Record<string, string>, status: number]>([
    ['a page of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }, 403],
    ['a page of a sibling', { 'sec-fetch-site': 'same-site' }, 403],
    ['no page', {}, 403],
    ['a page of this host over plain HTTP', { origin: 'http://receiver.example', host: 'receiver.example' }, 303],
    ['a page of another host over plain HTTP', { origin: 'http://evil.example', host: 'receiver.example' }, 403],
    ['a page without an origin', { origin: 'null', host: 'receiver.example' }, 403],
  ])('from %s', async (_name, headers, status) => {
    const { app } = rig()
    await signIn(app, { token: WRITE }, headers).expect(status)
    await request(app).post('/sign-out').set(headers).expect(status)
  })

  it('takes a form of at most 8 KiB', async () => {
    await signIn(rig().app, { token: 'x'.repeat(8 * 1024) }).expect(413)
  })

  it('the sign-out takes the cookie back', async () => {
    const answer = await request(rig().app).post('/sign-out').set(SAME).expect(303)
    expect(answer.headers['set-cookie']).toEqual(['receiver=; Max-Age=0; HttpOnly; SameSite=Strict'])
    expect(answer.headers.location).toBe('./sign-in')
  })
})

describe('a session', () => {
  it('lasts twelve hours', async () => {
    const { app, clock, refused } = rig()
    const cookie = await cookieOf(app, { token: WRITE })
    clock.advance(12 * HOURS - 1_000)
    await request(app).get('/read').set({ cookie }).expect(200)
    clock.advance(2_000)
    await request(app).get('/read').set({ cookie }).expect(401)
    expect(refused).toMatchObject([{ reason: 'session_ended' }])
  })

  it('ends with its token', async () => {
    const clock = createManualClock()
    const cookie = await cookieOf(rig({ write: [WRITE], read: [] }, clock).app, { token: WRITE })
    await request(rig({ write: ['another-token-of-16', WRITE], read: [] }, clock).app)
      .get('/read')
      .set({ cookie })
      .expect(200)
    await request(rig({ write: ['another-token-of-16'], read: [] }, clock).app)
      .get('/read')
      .set({ cookie })
      .expect(401)
    // A token that may only read now makes no writer.
    await request(rig({ write: ['another-token-of-16'], read: [WRITE] }, clock).app)
      .get('/read')
      .set({ cookie })
      .expect(401)
  })

  it('cannot be changed, nor made without the token', async () => {
    const { app } = rig()
    const cookie = await cookieOf(app, { token: READ, name: 'ada' })
    const [, role, expires, name, mac] = cookie.slice('receiver='.length).split('.')
    const forged = [
      `v1.write.${expires}.${name}.${mac}`,
      `v1.${role}.${Number(expires) + 1}.${name}.${mac}`,
      `v1.${role}.${expires}.${Buffer.from('bob').toString('base64url')}.${mac}`,
      `v1.${role}.${expires}..${mac}`,
      `v1.${role}.${expires}.${name}.${'A'.repeat(43)}`,
      `v1.${role}.${expires}.${name}.`,
      `v2.${role}.${expires}.${name}.${mac}`,
      '',
      'x'.repeat(5_000),
    ]
    for (const value of forged)
      await request(app)
        .get('/read')
        .set({ cookie: `receiver=${value}` })
        .expect(401)
  })

  it('is found among cookies of the same name', async () => {
    const { app } = rig()
    const cookie = await cookieOf(app, { token: READ })
    await request(app)
      .get('/read')
      .set({ cookie: `receiver=old; tz=UTC; ${cookie}` })
      .expect(200)
  })

  it('does not count beside a Bearer, but beside the password of a proxy', async () => {
    const { app } = rig()
    const [writer, reader] = [await cookieOf(app, { token: WRITE }), await cookieOf(app, { token: READ })]
    const call = (cookie: string, authorization: string) =>
      request(app)
        .post('/write')
        .set({ ...SAME, cookie, authorization })
    await call(writer, `Bearer ${READ}`).expect(403, { error: 'read_only' })
    await call(writer, 'Bearer a-wrong-token-of-16').expect(401)
    expect((await call(reader, `bearer ${WRITE}`).expect(200)).body).toMatchObject({ role: 'write', by: 'bearer' })
    await call(writer, `Basic ${btoa('a:b')}`).expect(200)
  })

  it.each<[site: Record<string, string>, session: number]>([
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'none' }, 403],
    [{ 'sec-fetch-site': 'cross-site', origin: 'http://receiver.example' }, 403],
    [{ origin: 'http://receiver.example' }, 200],
    [{ origin: 'http://RECEIVER.example' }, 200],
    [{ origin: 'http://receiver.example:81' }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'nonsense' }, 403],
    [{}, 403],
  ])('changes things from a page of ours alone: %j', async (site, status) => {
    const { app } = rig()
    const cookie = await cookieOf(app, { token: WRITE })
    const headers = { host: 'receiver.example', ...site }
    for (const path of ['/write', '/form'])
      for (const method of ['post', 'put', 'delete'] as const) {
        await request(app)
          [method](path)
          .set({ ...headers, cookie })
          .expect(status)
        await request(app)
          [method](path)
          .set({ ...headers, authorization: `Bearer ${WRITE}` })
          .expect(200)
      }
    await request(app)
      .get('/read')
      .set({ ...headers, cookie })
      .expect(200)
  })
})

describe('who', () => {
  it.each<[name: string, told: string]>([
    ['', 'write'],
    ['  Ada\n\tLovelace ', 'Ada Lovelace'],
    ['a\u202eb\u0000c\u200b', 'abc'],
    ['\u{1f600}'.repeat(70), '\u{1f600}'.repeat(64)],
    [WRITE, '[secret]'],
  ])('a name %j is %j', async (name, told) => {
    const { app } = rig()
    const cookie = await cookieOf(app, { token: WRITE, name })
    expect((await request(app).get('/read').set({ cookie })).body.who).toBe(told)
  })

  it('is the user of a proxy that is trusted, and of no other', async () => {
    const forwarded = { 'x-forwarded-user': 'ada', 'x-forwarded-email': 'ada@example.com' }
    const tell = async (trustProxy: unknown, headers: Record<string, string>) => {
      const { app } = rig(undefined, undefined, trustProxy)
      const cookie = await cookieOf(app, { token: WRITE, name: 'Bob' })
      return (
        await request(app)
          .get('/read')
          .set({ cookie, ...headers })
      ).body.who
    }
    expect(await tell(false, forwarded)).toBe('Bob')
    expect(await tell('10.0.0.0/8', forwarded)).toBe('Bob')
    expect(await tell('loopback', forwarded)).toBe('ada')
    expect(await tell(1, { 'x-forwarded-email': 'ada@example.com' })).toBe('ada@example.com')
    expect(await tell(true, {})).toBe('Bob')
  })
})

describe('the password of a proxy in front', () => {
  it.each(['Basic YTpi', 'Digest username="a"', 'Negotiate abc', 'token-without-scheme'])(
    '%s keeps no person from the sign-in',
    async (authorization) => {
      const { app, refused } = rig()
      for (let visit = 0; visit < 9; visit++) await request(app).get('/').set({ authorization }).expect(303)
      expect(refused).toEqual([])
      await request(app).get('/read').set({ authorization }).expect(401)
    },
  )
})

describe('a page', () => {
  it.each([
    ['/', './sign-in'],
    ['/jobs/j-1?a=b&c', '../sign-in?next=jobs%2Fj-1%3Fa%3Db%26c'],
    ['/jobs/j-1/', '../../sign-in?next=jobs%2Fj-1%2F'],
  ])('%s leads whoever is not known to the sign-in, and on from there', async (path, location) => {
    const { app, refused } = rig()
    expect((await request(app).get(path).expect(303)).headers.location).toBe(location)
    // The sign-in leads back to it.
    const { searchParams } = new URL(location, 'http://a')
    expect(new URL(safeNext(searchParams.get('next') ?? ''), 'http://a/sign-in').href).toBe(`http://a${path}`)
    await request(app).post('/form').expect(303)
    expect(refused).toEqual([])
  })

  it('a link of elsewhere asks once more, since the browser kept the cookie back', async () => {
    const { app } = rig()
    const followed = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
    const again = await request(app).get('/jobs/j-1').set(followed).expect(200)
    expect(again.text).toContain('<meta http-equiv="refresh" content="0">')
    expect(again.headers['cache-control']).toBe('no-store')
    await request(app)
      .get('/jobs/j-1')
      .set({ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' })
      .expect(303)
    await request(app)
      .get('/jobs/j-1')
      .set({ ...followed, cookie: 'receiver=old' })
      .expect(303)
    await request(app).post('/form').set(followed).expect(303)
    await request(app).get('/read').set(followed).expect(401)
  })

  it('is framed by nobody, runs nothing of others, and is stored nowhere', async () => {
    const { app } = rig()
    const cookie = await cookieOf(app, { token: READ })
    for (const answer of [
      await request(app).get('/').set({ cookie }),
      await request(app).get('/'),
      await request(app).get('/sign-in'),
      await signIn(app, { token: READ }),
      await request(app).get('/read'),
    ]) {
      expect(answer.headers).toMatchObject({
        'cache-control': 'no-store',
        'x-robots-tag': 'noindex',
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'content-security-policy':
          "default-src 'none';script-src 'self';style-src 'self';img-src 'self';font-src 'self';connect-src 'self';form-action 'self';base-uri 'none';frame-ancestors 'none';require-trusted-types-for 'script';trusted-types operator",
      })
      expect(answer.headers).not.toHaveProperty('strict-transport-security')
    }
  })
})

describe('where the sign-in leads to', () => {
  it.each([
    ['', './'],
    ['jobs', './jobs'],
    ['jobs/j-1?state=dead&q=%2F', './jobs/j-1?state=dead&q=%2F'],
    ['./jobs', './jobs'],
    ['?a=b', './?a=b'],
    ['https://evil.example/', './'],
    ['//evil.example', './'],
    ['/\\evil.example', './'],
    ['\\\\evil.example', './'],
    ['/jobs', './'],
    ['../jobs', './'],
    ['jobs/../../x', './'],
    ['%2e%2e/x', './'],
    ['/prefix/jobs', './jobs'],
    ['javascript:alert(1)', './'],
    ['http:evil.example', './evil.example'],
    ['\thttps://evil.example', './'],
    ['jobs\r\nset-cookie: a=b', './'],
    [`jobs?${'x'.repeat(2_000)}`, './'],
    ['.//evil.example', './/evil.example'],
  ])('%j is %j', (given, led) => {
    expect(safeNext(given)).toBe(led)
    expect(new URL(led, 'https://receiver.example/tools/sign-in').href).toMatch(/^https:\/\/receiver\.example\/tools\//)
  })
})
