import express from 'express'
import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { createMountable } from '../../src/http/app.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { delivery, event, type TestService, testService } from '../support/service.ts'

const [WRITE, READ] = ['a-token-that-writes-1', 'a-token-that-only-reads-1']

/** A service with a saved result, and a way to ask it. */
async function rig(env: Readonly<Record<string, string>> = {}) {
  const service = await testService({ env: { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ, ...env } })
  const jobId = await saved(service, { customer: 'a-secret-customer', note: '</dd><script>x()</script>' })
  const get = (path: string, token = WRITE) =>
    request(service.url)
      .get(path)
      .set({ authorization: `Bearer ${token}` })
  const post = (path: string, fields: Readonly<Record<string, string | readonly string[]>> = {}, token = WRITE) =>
    request(service.url)
      .post(path)
      .set({ authorization: `Bearer ${token}`, 'content-type': 'application/x-www-form-urlencoded' })
      .send(
        new URLSearchParams(
          Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, one])),
        ).toString(),
      )
  return { ...service, jobId, get, post }
}

async function saved(service: TestService, metadata: unknown): Promise<string> {
  const jobId = service.reducto.addJob({ kind: 'parse', metadata })
  const done = event(service.events, 'settled', (one) => one.jobId === jobId && one.state === 'done')
  await service.inbox.accept(delivery(jobId, { metadata }))
  await done
  return jobId
}

const CONTENT = /a-secret-customer|Annual report|Revenue grew/

describe('content that is hidden (ADMIN_HIDE_CONTENT)', () => {
  it('is on no page', async () => {
    const { get, jobId, inbox } = await rig({ ADMIN_HIDE_CONTENT: 'on' })
    const svixId = (await inbox.get(jobId))!.deliveries[0]!.svixId
    for (const token of [WRITE, READ])
      for (const path of [
        '/',
        '/jobs',
        `/jobs/${jobId}`,
        `/jobs/${jobId}?result=wait`,
        `/jobs/${jobId}/preview`,
        '/deliveries',
        `/deliveries/${svixId}`,
      ])
        expect((await get(path, token).expect(200)).text, path).not.toMatch(CONTENT)
    await get(`/jobs/${jobId}/pictures/files/2-image_url.png`).expect(404)
  })

  it('is shown to somebody who may change things and asks for it, one job at a time', async () => {
    const { post, jobId, inbox } = await rig({ ADMIN_HIDE_CONTENT: 'on' })
    const svixId = (await inbox.get(jobId))!.deliveries[0]!.svixId
    expect((await post(`/jobs/${jobId}/content`).expect(200)).text).toMatch(CONTENT)
    expect((await post(`/deliveries/${svixId}/content`).expect(200)).text).toMatch(CONTENT)
    // Who looked is noted.
    const { rows } = await inbox.actions({ limit: 10 })
    expect(rows).toMatchObject([
      { what: 'show_delivery', who: 'write', role: 'write', ids: [svixId] },
      { what: 'show', ids: [jobId] },
    ])
    await post(`/jobs/${jobId}/content`, {}, READ).expect(403)
    await post(`/deliveries/${svixId}/content`, {}, READ).expect(403)
  })

  it('cannot be found out by searching either, with the token that only reads', async () => {
    const { get, jobId, inbox } = await rig({ ADMIN_HIDE_CONTENT: 'on' })
    const svixId = (await inbox.get(jobId))!.deliveries[0]!.svixId
    for (const query of ['q=a-secret-customer', 'q=a-secr', 'q=customer%3Aa-secret-customer'])
      expect((await get(`/jobs?${query}`, READ).expect(200)).text, query).not.toContain(`job-${jobId}`)
    for (const value of ['a-secret-customer', 'another'])
      await get(`/jobs?metadata.customer=${value}`, READ).expect(400)
    // What it may see it finds, and whoever may see all finds all.
    for (const query of [`q=${jobId.slice(0, 8)}`, `q=${svixId}`, 'state=done'])
      expect((await get(`/jobs?${query}`, READ).expect(200)).text, query).toContain(`job-${jobId}`)
    for (const query of ['q=a-secret-customer', 'metadata.customer=a-secret-customer'])
      expect((await get(`/jobs?${query}`).expect(200)).text, query).toContain(`job-${jobId}`)
  })

  it('has no files on the page of its job', async () => {
    const { get, jobId } = await rig({ ADMIN_HIDE_CONTENT: 'on' })
    for (const token of [WRITE, READ])
      expect((await get(`/jobs/${jobId}`, token).expect(200)).text).not.toMatch(/href="[^"]*\/files\//)
  })

  it('else it is there, as text', async () => {
    const { get, jobId } = await rig()
    const { text } = await get(`/jobs/${jobId}?result=wait`).expect(200)
    expect(text).toMatch(CONTENT)
    expect(text).not.toContain('<script>x()')
    expect((await get(`/jobs/${jobId}/preview`)).text).toContain('Annual report')
  })
})

describe('pictures', () => {
  it('are shown by what their bytes are, of files that the record names', async () => {
    const { get, jobId } = await rig()
    const picture = await get(`/jobs/${jobId}/pictures/files/2-image_url.png`).expect(200)
    expect(picture.headers).toMatchObject({
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    })
    for (const path of ['files/1-pdf_url.pdf', 'job.json', 'files/9-none.png', '..%2f..%2freceiver.db', 'record.json'])
      await get(`/jobs/${jobId}/pictures/${path}`).expect(404)
  })
})

describe('while the results cannot be read', () => {
  it('a job is shown with all that the inbox knows, and why its result is not', async () => {
    const { get, jobId, results } = await rig()
    Object.assign(results, {
      record: async () => {
        throw new ResultsUnavailable('results', 'the bucket does not answer')
      },
    })
    const { text } = await get(`/jobs/${jobId}`).expect(200)
    expect(text).toContain('The results cannot be read now: the bucket does not answer')
    expect(text).toContain('a-secret-customer')
  })
})

describe('a list that takes long to search', () => {
  it('is shown after a second as far as it is, with how far back it looked', async () => {
    const { get, inbox } = await rig()
    let asked = 0
    const searched = { rows: [], next: '7', searchedTo: Date.parse('2026-01-02T03:04:05Z') }
    // Each look finds nothing, and there is always more.
    const look = async () => {
      if (++asked > 100_000) throw new Error('searched without an end')
      await new Promise((resolve) => setTimeout(resolve, 5))
      return searched
    }
    Object.assign(inbox, { list: look, deliveries: look })
    const { text } = await get('/jobs?error=zzz').expect(200)
    expect(text).toContain('Nothing among those searched so far.')
    expect(text).toMatch(/searched back to 2 Jan/)
    expect(text).toMatch(/href="[^"]*cursor=7"/)
    await get('/deliveries?q=zzz').expect(200)
  })
})

describe('a query that means nothing', () => {
  it.each([
    '/jobs?state=nowhere',
    '/jobs?stage=moon',
    '/jobs?since=yesterday',
    '/jobs?metadata=a',
    '/jobs?metadata.a=1&metadata.a=2',
    '/jobs?stat=dead',
    '/confirm?do=delete&state=done&custmer=acme',
    '/jobs?state=dead&state=done',
    '/jobs?cursor=abc',
    '/deliveries?disposition=x',
    '/?span=9y',
    '/confirm?do=retry',
    '/confirm?do=explode&state=dead',
    '/confirm?state=dead',
    '/confirm?do=retry&id=..%2F',
    '/jobs?id=j-1',
    '/jobs?expect=3',
    '/jobs?do=retry',
    '/jobs?until=soon',
    '/confirm?do=retry&state=dead&cursor=5',
    '/confirm?do=retry&until=2026-11-25T12:00Z',
  ])('%s is told, and nothing is shown in its place', async (path) => {
    const { get } = await rig()
    expect((await get(path).expect(400)).text).toContain('This address means nothing')
  })
})

describe('changes', () => {
  it.each([
    ['no jobs named', { do: 'delete' }],
    ['an empty filter', { do: 'delete', state: '', q: '' }],
    ['an unknown state', { do: 'delete', state: 'alive' }],
    ['a filter that is said twice', { do: 'delete', state: ['dead', 'done'] }],
    ['an id that is none', { do: 'delete', id: '../x' }],
  ])('%s: nothing is done', async (_name, fields) => {
    const { post, inbox, jobId } = await rig()
    await post('/bulk', { ...fields, until: String(Date.now()), expect: '9' }).expect(400)
    expect((await inbox.get(jobId))?.reason).toBeNull()
  })

  it('by a filter, without the number that was shown, it asks first', async () => {
    const { post, inbox, jobId } = await rig()
    const { text } = await post('/bulk', { do: 'delete', state: 'done' }).expect(200)
    expect(text).toContain('Delete 1 job?')
    expect((await inbox.get(jobId))?.reason).toBeNull()
  })

  it('when more match than were shown, nothing is done and the new number is told', async () => {
    const { post, inbox, jobId } = await rig()
    const { text } = await post('/bulk', {
      do: 'delete',
      state: 'done',
      until: String(Date.now()),
      expect: '0',
    }).expect(409)
    expect(text).toContain('1 match now, not 0: nothing was done.')
    expect((await inbox.get(jobId))?.reason).toBeNull()
  })

  it('the reading token is offered nothing that changes', async () => {
    const { get, jobId, inbox } = await rig()
    const svixId = (await inbox.get(jobId))!.deliveries[0]!.svixId
    const list = inbox.list
    let searched = 0
    Object.assign(inbox, {
      list: (...args: Parameters<typeof list>) => {
        searched++
        return list(...args)
      },
    })
    const asked = await get(`/confirm?do=delete&state=done`, READ).expect(403)
    expect(searched).toBe(0)
    const pages = ['/', '/jobs', `/jobs/${jobId}`, '/dead', '/deliveries', `/deliveries/${svixId}`, '/actions']
    const texts = await Promise.all(pages.map(async (path) => (await get(path, READ).expect(200)).text))
    for (const text of [asked.text, ...texts]) {
      const forms = [...text.matchAll(/<form[^>]* method="post"[^>]*action="([^"]*)"/g)].map(([, action]) => action)
      expect(forms.filter((action) => !action!.endsWith('sign-out'))).toEqual([])
      expect(text).not.toMatch(/formaction|confirm\?|name="id"/)
    }
  })

  it('a deletion by metadata counts the deliveries without a job that go with it', async () => {
    const { get, post, inbox } = await rig()
    await inbox.accept({
      ...{ ...delivery('x', { at: Date.now() - 1_000 }), svixId: 'msg_odd' },
      ...{ body: '{"metadata":{"customer":"a-secret-customer"}}', content: { is: 'ignored' } as const },
    })
    const which = { do: 'delete', 'metadata.customer': 'a-secret-customer' }
    const { text } = await get(`/confirm?${new URLSearchParams(which)}`).expect(200)
    expect(text).toContain('Delete 1 job and 1 delivery without a job?')
    expect(text).toContain('name="expect" value="2"')
    const until = /name="until" value="(\d+)"/.exec(text)![1]!
    await post('/bulk', { ...which, until, expect: '1' }).expect(409)
    expect((await inbox.delivery('msg_odd'))!.body).not.toBeNull()
    await post('/bulk', { ...which, until, expect: '2' }).expect(303)
    expect((await inbox.delivery('msg_odd'))!.body).toBeNull()
  })

  it('the reading token changes nothing', async () => {
    const { post, jobId } = await rig()
    for (const path of [
      '/bulk',
      `/jobs/${jobId}/retry`,
      `/jobs/${jobId}/replay`,
      '/worker/pause',
      '/worker/resume',
      '/deliveries/x/retry',
    ])
      await post(path, { do: 'retry', id: jobId }, READ).expect(403)
  })

  it('a filter by time is one on every page, and bounds what is done', async () => {
    const { get, jobId } = await rig()
    expect((await get('/jobs?until=2020-01-01T00:00Z').expect(200)).text).not.toContain(`job-${jobId}`)
    expect((await get('/jobs?until=2099-01-01T00:00Z').expect(200)).text).toContain(`job-${jobId}`)
    expect((await get('/confirm?do=delete&state=done&until=2020-01-01T00:00Z').expect(200)).text).toContain(
      'No job matches',
    )
    // What is not over yet bounds nothing: jobs that change until then were not shown.
    const { text } = await get('/confirm?do=delete&state=done&until=2099-01-01T00:00Z').expect(200)
    expect(Number(/name="until" value="(\d+)"/.exec(text)![1])).toBeLessThanOrEqual(Date.now())
  })

  it('what was finished since it was shown is not done again, from a second window either', async () => {
    const { post, get, jobId, inbox } = await rig()
    const shownAt = /name="until" value="(\d+)"/.exec((await get(`/jobs/${jobId}`)).text)![1]!
    const before = (await inbox.get(jobId))!.updatedAt - 1
    for (const until of [String(before)]) {
      for (const path of [`/jobs/${jobId}/retry`, `/jobs/${jobId}/replay`])
        expect((await post(path, { until }).expect(303)).headers.location).toMatch(/refused=changed/)
      expect((await post('/bulk', { do: 'retry', id: jobId, until }).expect(303)).headers.location).toMatch(
        /refused=changed/,
      )
    }
    expect((await inbox.get(jobId))!.state).toBe('done')
    expect((await post(`/jobs/${jobId}/retry`, { until: shownAt }).expect(303)).headers.location).toMatch(/did=retry/)
  })

  it('who looked is noted for what is there, by its whole id', async () => {
    const { post, jobId, inbox } = await rig({ ADMIN_HIDE_CONTENT: 'on' })
    const svixId = (await inbox.get(jobId))!.deliveries[0]!.svixId
    for (const path of ['/jobs/none/content', '/deliveries/none/content', `/deliveries/${svixId.slice(0, 20)}/content`])
      await post(path).expect(303)
    expect((await inbox.actions({ limit: 9 })).rows).toEqual([])
  })

  it('a notice says only what this service has to say', async () => {
    const { get } = await rig()
    for (const query of ['did=%3Cb%3E', 'did=retry&n=%3Cb%3E', 'refused=call+0800', 'did=constructor', 'did=toString'])
      expect((await get(`/jobs?${query}`).expect(200)).text, query).not.toContain('class="notice')
    expect((await get('/jobs?did=retry&n=3')).text).toContain('3 jobs were queued again.')
  })
})

describe('assets', () => {
  it('are kept by browsers for good, since their address changes with them; nothing else is there', async () => {
    const { url } = await rig()
    const page = await request(url).get('/sign-in').expect(200)
    const [, folder] = /href="\.\/(assets\/[0-9a-f]+)\/style\.css"/.exec(page.text)!
    const style = await request(url).get(`/${folder}/style.css`).expect(200)
    expect(style.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect((await request(url).get(`/${folder}/live.js`)).text).toContain("from './idiomorph.js'")
    for (const path of [
      `/${folder}/tsconfig.json`,
      `/${folder}/..%2f..%2fpackage.json`,
      '/assets/000000000000/style.css',
    ])
      await request(url).get(path).expect(404)
  })
})

describe('in an app of somebody else’s', () => {
  const receiver = createMountable({
    receiver: () => null,
    events: createEvents(),
    operator: {
      tokens: { write: [WRITE], read: [] },
      clock: { now: Date.now, monotonic: () => performance.now(), sleep: async () => {} },
      metrics: { contentType: 'text/plain', text: async () => '' },
      scrub: ((text: string) => text) as never,
      api: { version: '0', work: () => null },
      pages: { opened: () => null, service: { publicUrl: null } } as never,
    },
  })

  it('the first page and its neighbours are the app’s, unless the receiver has a path of its own', async () => {
    const app = express().use(receiver)
    app.use((_request, response) => void response.send('the app'))
    for (const path of ['/', '/jobs', '/assets/a/b', '/sign-in']) await request(app).get(path).expect(200, 'the app')
    const below = express().use('/tools', receiver)
    await request(below)
      .get('/tools/sign-in')
      .expect(200, /Sign in to receiver/)
    await request(below).get('/tools/jobs').expect(303)
  })
})
