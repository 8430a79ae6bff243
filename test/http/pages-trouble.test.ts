import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { InboxUnavailable } from '../../src/inbox/inbox.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { delivery, event, testService } from '../support/service.ts'

const TOKEN = 'a-token-that-writes-1'

async function rig() {
  const service = await testService({ store: 'memory', env: { ADMIN_TOKEN: TOKEN } })
  const jobId = service.reducto.addJob({ kind: 'parse' })
  const done = event(service.events, 'settled', (one) => one.jobId === jobId && one.state === 'done')
  await service.inbox.accept(delivery(jobId))
  await done
  const failing: unknown[] = []
  service.events.on('failing', ({ error }) => failing.push(error))
  const ask = (method: 'get' | 'post', path: string) =>
    request(service.url)
      [method](path)
      .set({ authorization: `Bearer ${TOKEN}` })
  return { ...service, jobId, failing, ask }
}

const PATHS = [
  '/',
  '/jobs',
  '/dead',
  '/deliveries',
  '/actions',
  '/jobs/j-1',
  '/deliveries/d-1',
  '/confirm?do=retry&state=dead',
]

describe('a page for a person', () => {
  it.each(PATHS)('%s is a page, too, while the database does not answer', async (path) => {
    const { inbox, ask, failing } = await rig()
    const fails = async () => {
      throw new InboxUnavailable('failed', 'the inbox cannot read: <disk I/O error>')
    }
    Object.assign(inbox, { stats: fails })
    const answer = await ask('get', path).expect(503)
    expect(answer.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'retry-after': '2' })
    expect(answer.text).toContain('The database does not answer.')
    expect(answer.text).toContain('&lt;disk I/O error&gt;')
    expect(failing).toEqual([])
  })

  it('says that it could not be made, and the log why, whatever fails', async () => {
    const { inbox, ask, failing } = await rig()
    const error = new Error('of the code, with a /path/of/the/service')
    Object.assign(inbox, { list: () => Promise.reject(error) })
    const { text } = await ask('get', '/jobs').expect(500)
    expect(text).toContain('This page could not be made.')
    expect(text).not.toContain('/path/of/the/service')
    expect(failing).toEqual([error])
  })

  it('is no error of ours while the results cannot be read', async () => {
    const { results, ask, jobId, failing } = await rig()
    const fails = async () => {
      throw new ResultsUnavailable('results', 'the bucket does not answer')
    }
    Object.assign(results, { record: fails, open: fails })
    for (const path of [`/jobs/${jobId}/preview`, `/jobs/${jobId}/pictures/files/2-image_url.png`])
      expect((await ask('get', path).expect(503)).text).toContain('The results cannot be read now.')
    expect((await ask('post', `/jobs/${jobId}/replay`)).status).toBeLessThan(504)
    expect(failing).toEqual([])
  })

  it('is there while pictures wait for a store that hangs', async () => {
    const { results, ask, jobId } = await rig()
    const { promise: asked, resolve: reached } = Promise.withResolvers<void>()
    let waiting = 0
    const open = Object.assign(results, {
      record: () => {
        if (++waiting === 16) reached()
        return new Promise(() => {})
      },
    })
    expect(open).toBe(results)
    const pictures = Array.from({ length: 20 }, (_, at) => ask('get', `/jobs/${jobId}/pictures/files/${at}.png`))
    const answers = pictures.map((one) => one.then(({ status }) => status))
    await asked
    await ask('get', '/').expect(200)
    await ask('get', '/jobs').expect(200)
    // Beyond what is made at once one is told to come later.
    expect(await Promise.race(answers)).toBe(503)
    for (const one of pictures) one.abort()
    await Promise.allSettled(answers)
  })
})
