import { describe, expect, it } from 'vitest'
import type { Claim, Inbox, JobFilter } from '../../../src/inbox/inbox.ts'
import { delivery, freeSlots } from '../../support/service.ts'
import { attempt, because, dead, done, type InboxTest } from './support.ts'

/** What operators find, and do, beside `list`, `get` and `requeue`. */
export function operatorsContract(name: string, openTest: () => Promise<InboxTest>): void {
  async function kill(inbox: Inbox, claim: Claim, code = 'http_500'): Promise<void> {
    await inbox.settle(claim, { ...dead(claim), reason: because(code, 'gave up') }, attempt('dead', null), null)
  }
  const other = (svixId: string, body: string, content: { is: 'ignored' } | { is: 'rejected'; reason: string }) => ({
    ...delivery('', { svixId }),
    body,
    content,
  })

  describe(`${name}: operators`, () => {
    it('find jobs by the metadata of their first delivery', async () => {
      const { inbox } = await openTest()
      const body = (jobId: string, metadata: string) =>
        inbox.accept({ ...delivery(jobId), body: `{"status":"Completed","job_id":"${jobId}","metadata":${metadata}}` })
      await body('text', '{"user":"Ada \\u00fc","a.b \\"c\\"":"x","":"empty","n":12345678901234567890}')
      await body('number', '{"user":42,"yes":true,"none":null,"list":[1,2],"f":1.50}')
      await body('nothing', 'null')
      await inbox.accept({
        ...delivery('wrapped'),
        body: '\ufeff{"type":"job","data":{"status":"Completed","job_id":"wrapped","metadata":{"user":"Ada"}}}',
      })
      const found = async (metadata: Record<string, string>, more: JobFilter = {}) =>
        (await inbox.list({ metadata, ...more }, { limit: 9 })).rows.map(({ jobId }) => jobId)
      expect(await found({ user: 'Ada ü' })).toEqual(['text'])
      expect(await found({ user: 'Ada ü', 'a.b "c"': 'x', '': 'empty' })).toEqual(['text'])
      expect(await found({ user: 'Ada ü', 'a.b "c"': 'y' })).toEqual([])
      expect(await found({ n: '12345678901234567890' })).toEqual(['text'])
      expect(await found({ n: '12345678901234567891' })).toEqual([])
      for (const metadata of [{ user: '42' }, { yes: 'true' }, { none: 'null' }, { list: '[1,2]' }, { f: '1.50' }])
        expect(await found(metadata as unknown as Record<string, string>), JSON.stringify(metadata)).toEqual(['number'])
      expect(await found({ yes: '1' })).toEqual([])
      expect(await found({ user: 'Ada' })).toEqual(['wrapped'])
      expect(await found({ user: 'Ada' }, { state: 'dead' })).toEqual([])
      await inbox.erase('wrapped')
      expect(await found({ user: 'Ada' })).toEqual([])
    })

    it('find jobs by stage, exact code, time and ids', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b', 'c']) {
        await inbox.accept(delivery(id))
        clock.advance(1_000)
      }
      const [claim] = await inbox.claim('fetch', { ...freeSlots(1) })
      await kill(inbox, claim!, 'http_500')
      const found = async (filter: JobFilter) => (await inbox.list(filter, { limit: 9 })).rows.map((row) => row.jobId)
      const now = clock.now()
      expect(await found({ code: 'http_500' })).toEqual(['a'])
      expect(await found({ code: 'http_50' })).toEqual([])
      expect(await found({ stage: 'fetch' })).toHaveLength(3)
      expect(await found({ stage: 'hand_over' })).toEqual([])
      expect(await found({ until: now - 1 })).toEqual(['c', 'b'])
      expect(await found({ createdSince: now - 1_000 })).toEqual(['c'])
      expect(await found({ jobIds: ['b', 'nobody', 'a'] })).toHaveLength(2)
      expect(await found({ jobIds: ['b', 'a'], state: 'dead' })).toEqual(['a'])
      expect(await inbox.oldest({})).toMatchObject({ jobId: 'a' })
      expect(await inbox.oldest({ state: 'queued' })).toMatchObject({ jobId: 'b' })
      expect(await inbox.oldest({ state: 'done' })).toBeNull()
    })

    it('complete the start of an id', async () => {
      const { inbox } = await openTest()
      for (const id of ['ab-1', 'ab-2', 'ac', 'b']) await inbox.accept(delivery(id, { svixId: `msg_${id}` }))
      expect(await inbox.idsFrom('job', 'ab', 9)).toEqual(['ab-1', 'ab-2'])
      expect(await inbox.idsFrom('job', 'a', 2)).toEqual(['ab-1', 'ab-2'])
      expect(await inbox.idsFrom('job', 'x', 2)).toEqual([])
      expect(await inbox.idsFrom('delivery', 'msg_ac', 2)).toEqual(['msg_ac'])
      expect(await inbox.idsFrom('job', '%', 2)).toEqual([])
    })

    it('read the bodies that jobs came with', async () => {
      const { inbox } = await openTest()
      const [a, b] = [delivery('a', { metadata: { n: 1 } }), delivery('b')]
      for (const one of [a, b]) await inbox.accept(one)
      await inbox.erase('b')
      expect(await inbox.bodies(['b', 'a', 'nobody'])).toEqual([null, a.body, null])
    })

    it('list deliveries, newest first, by what they were taken for', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('job-1', { svixId: 'msg_1', at: clock.now() }))
      await inbox.accept(other('msg_2', '{"success":true}', { is: 'ignored' }))
      clock.advance(1_000)
      await inbox.accept({ ...other('msg_3', '[]', { is: 'rejected', reason: 'not a JSON object' }), endpoint: 'dev' })
      const ids = async (filter: Parameters<Inbox['deliveries']>[0]) =>
        (await inbox.deliveries(filter, { limit: 9 })).rows.map(({ svixId }) => svixId)
      expect(await ids({})).toEqual(['msg_3', 'msg_2', 'msg_1'])
      expect(await ids({ disposition: 'job' })).toEqual(['msg_1'])
      expect(await ids({ disposition: 'ignored' })).toEqual(['msg_2'])
      expect(await ids({ endpoint: 'DEV' })).toEqual(['msg_3'])
      expect(await ids({ q: 'msg_2' })).toEqual(['msg_2'])
      const first = await inbox.deliveries({}, { limit: 2 })
      const rest = await inbox.deliveries({}, { limit: 2, cursor: first.next! })
      expect(rest).toMatchObject({ rows: [{ svixId: 'msg_1', jobId: 'job-1' }], next: null, searchedTo: null })
      expect(await inbox.delivery('msg_3')).toMatchObject({ note: 'not a JSON object', body: '[]', jobId: null })
      expect(await inbox.delivery('nobody')).toBeNull()
    })

    it('have a delivery read again: it becomes that of its job, once', async () => {
      const { inbox, clock } = await openTest()
      const body = '{"state":"Completed","id":"job-1"}'
      const at = clock.now()
      const ignored = { ...other('msg_1', body, { is: 'ignored' }), receivedAt: at }
      await inbox.accept(ignored)
      clock.advance(60_000)
      await inbox.accept({ ...ignored, receivedAt: clock.now() })
      const content = { is: 'job', jobId: 'job-1', status: 'Completed' } as const
      expect(await inbox.reread('msg_1', { is: 'ignored' })).toBe('unchanged')
      expect(await inbox.reread('nobody', content)).toBe('unknown')
      expect(await inbox.reread('msg_1', content)).toBe('job')
      expect(await inbox.reread('msg_1', content)).toBe('unchanged')
      expect(await inbox.delivery('msg_1')).toMatchObject({
        ...{ disposition: 'job', jobId: 'job-1', arrivals: 2, receivedAt: at, lastAt: clock.now(), body },
      })
      expect(await inbox.stats()).toMatchObject({
        deliveries: { job: 1, ignored: 0, rejected: 0 },
        lastVerifiedAt: clock.now(),
        jobs: { queued: 1 },
      })
      expect(await inbox.claim('fetch', freeSlots(9))).toMatchObject([{ jobId: 'job-1', svixId: 'msg_1', body }])
    })

    it('have a delivery read again: it does to its job what it would have done on arrival', async () => {
      const { inbox, clock } = await openTest()
      const content = { is: 'job', jobId: 'job-1', status: 'Completed' } as const
      const early = { ...other('msg_early', '{"a":1}', { is: 'ignored' }), endpoint: 'dev' }
      await inbox.accept(early)
      await inbox.accept(other('msg_bad', '{"a":2}', { is: 'rejected', reason: 'not understood' }))
      await inbox.accept(delivery('job-1', { svixId: 'msg_job', status: 'Failed' }))
      const [claim] = await inbox.claim('fetch', freeSlots(9))
      await kill(inbox, claim!)
      clock.advance(1_000)
      expect(await inbox.reread('msg_early', content)).toBe('job')
      const [again] = await inbox.claim('fetch', freeSlots(9))
      expect(again).toMatchObject({
        jobId: 'job-1',
        svixId: 'msg_job',
        announced: 'Completed',
        round: 2,
        fetchSince: 2,
      })
      expect(again!.endpoints).toEqual(['default', 'dev'])
      await inbox.settle(again!, done(again!), attempt(), null)
      // One that says nothing new queues nothing.
      expect(await inbox.reread('msg_bad', content)).toBe('job')
      const job = (await inbox.get('job-1'))!
      expect(job).toMatchObject({ state: 'done' })
      expect(job.deliveries.map(({ svixId }) => svixId)).toEqual(['msg_early', 'msg_bad', 'msg_job'])
      expect(await inbox.delivery('msg_bad')).toMatchObject({ note: null, disposition: 'job', status: 'Completed' })
      // It has kept its place, and is known by its id from then on.
      const listed = (await inbox.deliveries({}, { limit: 9 })).rows.map(({ svixId }) => svixId)
      expect(listed).toEqual(['msg_job', 'msg_bad', 'msg_early'])
      expect(await inbox.accept({ ...early, content })).toMatchObject({ duplicate: true })
      expect((await inbox.list({ q: 'msg_early' }, { limit: 9 })).rows).toMatchObject([{ jobId: 'job-1' }])
      expect((await inbox.stats()).deliveries).toEqual({ job: 3, ignored: 0, rejected: 0 })
      await inbox.erase('job-1')
      expect(await inbox.delivery('msg_early')).toMatchObject({ body: null })
    })

    it('wake the worker with a delivery that they have read again', async () => {
      const { inbox } = await openTest()
      await inbox.accept(other('msg_1', '{}', { is: 'ignored' }))
      expect(await inbox.claim('fetch', freeSlots(9))).toEqual([])
      const woken = inbox.ready('fetch', AbortSignal.timeout(60_000))
      await inbox.reread('msg_1', { is: 'job', jobId: 'job-1', status: 'Completed' })
      await woken
      expect(await inbox.claim('fetch', freeSlots(9))).toMatchObject([{ jobId: 'job-1' }])
    })

    it('turn the pages of named jobs and of deliveries', async () => {
      const { inbox } = await openTest()
      const jobIds = ['a', 'b', 'c', 'd']
      for (const id of jobIds) await inbox.accept(delivery(id, { svixId: `msg_${id}` }))
      const first = await inbox.list({ jobIds }, { limit: 3 })
      expect(first.rows.map(({ jobId }) => jobId)).toEqual(['d', 'c', 'b'])
      expect(await inbox.list({ jobIds }, { limit: 3, cursor: first.next! })).toMatchObject({
        ...{ rows: [{ jobId: 'a' }], next: null, searchedTo: null },
      })
      expect(await inbox.list({ jobIds: [] }, { limit: 3 })).toEqual({ rows: [], next: null, searchedTo: null })
      const ids: string[] = []
      let cursor: string | null | undefined
      while (cursor !== null) {
        const page = await inbox.deliveries({ disposition: 'job' }, { limit: 1, ...(cursor ? { cursor } : {}) })
        ids.push(...page.rows.map(({ svixId }) => svixId))
        cursor = page.next
      }
      expect(ids).toEqual(['msg_d', 'msg_c', 'msg_b', 'msg_a'])
    })

    it('queue named jobs again as a part of many, each in its own place', async () => {
      const { inbox, clock } = await openTest()
      const ids = ['a', 'b', 'c']
      for (const id of ids) await inbox.accept(delivery(id))
      for (const claim of await inbox.claim('fetch', freeSlots(9))) await kill(inbox, claim)
      const filter = { state: 'dead', jobIds: ['c', 'nobody', 'a'] } as const
      expect(await inbox.requeue(filter, { dryRun: true })).toBe(2)
      expect(await inbox.requeue(filter, { part: { first: 10, total: 1_000 } })).toBe(2)
      expect(await inbox.requeue(filter)).toBe(0)
      const dueIn = async (id: string) => (await inbox.get(id))!.dueAt - clock.now()
      expect([await dueIn('c'), await dueIn('a')]).toEqual([200, 220])
      expect(await inbox.get('b')).toMatchObject({ state: 'dead' })
      // A part that claims to stand behind all is still within them: nothing is put off further than others are.
      expect(await inbox.requeue({ jobIds: ['b'] }, { part: { first: 50_000, total: 2 } })).toBe(1)
      expect(await dueIn('b')).toBeLessThanOrEqual(600_000)
    })

    it('pause with a reason, which outlives the service, and keeps its beginning', async () => {
      const { inbox, clock, open } = await openTest()
      const since = clock.now()
      expect((await inbox.service()).pause).toBeNull()
      await inbox.pause(true, 'upgrade of the CRM')
      clock.advance(1_000)
      await inbox.pause(true)
      await inbox.close()
      const again = (await open()).inbox
      expect(await again.service()).toEqual({ pause: { since, reason: 'upgrade of the CRM' }, startedAt: clock.now() })
      expect((await again.stats()).paused).toBe(true)
      await again.pause(true, 'still the CRM')
      expect((await again.service()).pause).toEqual({ since, reason: 'still the CRM' })
      await again.pause(false)
      expect((await again.service()).pause).toBeNull()
    })
  })
}
