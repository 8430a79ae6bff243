import request from 'supertest'
import { describe, expect, it } from 'vitest'
import { contentFor } from '../../src/http/content.ts'
import { delivery, event, testService } from '../support/service.ts'

/** ADMIN_HIDE_CONTENT in the API. What the pages do is in pages.test.ts. */

const [WRITE, READ] = ['a-token-that-writes-1', 'a-token-that-only-reads-1']
const CONTENT = /a-secret-customer|Annual report|Revenue grew/

async function rig(hide: 'on' | 'off') {
  const env = { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ, ADMIN_HIDE_CONTENT: hide }
  const { reducto, events, inbox, url } = await testService({ store: 'memory', env })
  const metadata = { customer: 'a-secret-customer' }
  const jobId = reducto.addJob({ kind: 'parse', metadata })
  const done = event(events, 'settled', (one) => one.jobId === jobId && one.state === 'done')
  await inbox.accept(delivery(jobId, { svixId: 'msg_job', metadata }))
  await done
  const get = (path: string, token: string) =>
    request(url)
      .get(path)
      .set({ authorization: `Bearer ${token}` })
  const noted = async () => (await inbox.actions({ limit: 50 })).rows
  return { jobId, get, noted }
}

const OPEN = { '/api/jobs': 'show', '/api/jobs/ID': 'show', '/api/deliveries/msg_job': 'show_delivery' }
const CLOSED = ['/api/jobs/ID/files/job.json', '/api/jobs/ID/files/files.jsonl', '/api/jobs/ID/preview']

describe('content that is hidden', () => {
  it('is in no answer, whatever is asked for with a reading token, and nothing is noted', async () => {
    const on = await rig('on')
    for (const query of ['', '?content=show'])
      for (const path of Object.keys(OPEN)) {
        const { text, body } = await on.get(path.replace('ID', on.jobId) + query, READ).expect(200)
        expect(text, path).not.toMatch(CONTENT)
        expect(body, path).toMatchObject({ content: 'hidden' })
      }
    for (const query of ['', '?content=show'])
      for (const path of CLOSED) {
        const answer = await on.get(path.replace('ID', on.jobId) + query, READ)
        expect(answer.status, path).toBe(403)
        expect(answer.body).toEqual({ error: 'content_hidden' })
      }
    expect(await on.noted()).toEqual([])
  })

  it('cannot be found out by searching with a reading token', async () => {
    const on = await rig('on')
    const words = await on.get('/api/jobs?q=a-secret-customer', READ).expect(200)
    expect(words.body.jobs).toEqual([])
    const pair = await on.get('/api/jobs?metadata.customer=a-secret-customer', READ).expect(403)
    expect(pair.body).toEqual({ error: 'content_hidden' })
    for (const q of [on.jobId.slice(0, 8), 'msg_job'])
      expect((await on.get(`/api/jobs?q=${q}`, READ).expect(200)).body.jobs).toMatchObject([{ job_id: on.jobId }])
    const writer = await on.get('/api/jobs?metadata.customer=a-secret-customer', WRITE).expect(200)
    expect(writer.body.jobs).toHaveLength(1)
  })

  it('is in no other answer either', async () => {
    const on = await rig('on')
    const others = [
      '/api/deliveries',
      '/api/stats',
      '/api/status',
      '/api/causes',
      '/api/actions',
      '/api/minutes',
      '/metrics',
    ]
    for (const token of [READ, WRITE])
      for (const path of others) expect((await on.get(path, token).expect(200)).text, path).not.toMatch(CONTENT)
  })

  it('is shown to somebody who may change things and asks for it, and that is noted', async () => {
    const on = await rig('on')
    for (const [path, what] of Object.entries(OPEN)) {
      const at = path.replace('ID', on.jobId)
      expect((await on.get(at, WRITE).expect(200)).text, path).not.toMatch(CONTENT)
      const before = (await on.noted()).length
      const shown = await on.get(`${at}?content=show`, WRITE).expect(200)
      expect(shown.text, path).toMatch(CONTENT)
      expect(shown.body.content).toBeUndefined()
      const [latest, ...rest] = await on.noted()
      expect(rest).toHaveLength(before)
      expect(latest).toMatchObject({ what, who: 'write', ids: [what === 'show' ? on.jobId : 'msg_job'] })
    }
    for (const path of CLOSED) {
      const at = path.replace('ID', on.jobId)
      const before = (await on.noted()).length
      await on.get(at, WRITE).expect(403, { error: 'content_hidden' })
      expect(await on.noted()).toHaveLength(before)
      await on.get(`${at}?content=show`, WRITE).expect(200)
      expect((await on.noted())[0]).toMatchObject({ what: 'show', ids: [on.jobId] })
      expect(await on.noted()).toHaveLength(before + 1)
    }
  })

  it('takes one word alone', async () => {
    const on = await rig('on')
    for (const query of ['content=', 'content=yes', 'content=show&content=show', 'contents=show'])
      await on.get(`/api/jobs/${on.jobId}?${query}`, WRITE).expect(400)
  })

  it('is not hidden without the setting, and nobody is noted', async () => {
    const on = await rig('off')
    for (const query of ['', '?content=show'])
      for (const path of [...Object.keys(OPEN), ...CLOSED]) {
        const { body } = await on.get(path.replace('ID', on.jobId) + query, READ).expect(200)
        expect(body.content, path).toBeUndefined()
      }
    expect((await on.get(`/api/jobs/${on.jobId}`, READ)).text).toMatch(CONTENT)
    expect((await on.get(`/api/jobs/${on.jobId}/preview`, READ)).text).toMatch(CONTENT)
    expect(await on.noted()).toEqual([])
  })

  it.each([
    [false, 'read', false, 'open'],
    [false, 'write', true, 'open'],
    [true, 'read', false, 'hidden'],
    [true, 'read', true, 'hidden'],
    [true, 'write', false, 'hidden'],
    [true, 'write', true, 'revealed'],
  ] as const)('hidden: %s, %s, asked for: %s → %s', (hides, role, isAskedFor, expected) => {
    expect(contentFor({ hides, role, isAskedFor })).toBe(expected)
  })
})

describe('a preview', () => {
  it('is what a page shows, and not found without a result', async () => {
    const on = await rig('off')
    const { body } = await on.get(`/api/jobs/${on.jobId}/preview`, READ).expect(200)
    expect(body).toMatchObject({ job_id: on.jobId, sections: [{ is: 'chunks', is_more: false }], why: null })
    for (const id of ['nobody', '..%2f..']) await on.get(`/api/jobs/${id}/preview`, READ).expect(404)
  })
})
