import { describe, expect, it } from 'vitest'
import type { Claim, Inbox, JobFilter } from '../../../src/inbox/inbox.ts'
import type { CleanText } from '../../../src/scrub.ts'
import type { ManualClock } from '../../support/manual-clock.ts'
import { delivery, places } from '../../support/service.ts'

type Opened = {
  readonly inbox: Inbox
  readonly clock: ManualClock
  readonly open: () => Promise<{ readonly inbox: Inbox }>
}

/** What operators find, and do, beside `list`, `get` and `requeue`. */
export function operatorsContract(name: string, openTest: () => Promise<Opened>): void {
  const attempt = { startedAt: 0, ms: 5, task: 'fetch', outcome: 'dead', reason: null, savedStatus: null, type: null }
  async function kill(inbox: Inbox, claim: Claim, code = 'http_500'): Promise<void> {
    const reason = { code, message: 'gave up' as CleanText }
    await inbox.settle(claim, { ...claim.progress, state: 'dead', reason }, { ...attempt, task: 'fetch' }, null)
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
      const [claim] = await inbox.claim('fetch', { ...places(1) })
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
      expect(await inbox.delivery('msg_3')).toMatchObject({ disposition: 'rejected', body: '[]', jobId: null })
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
      expect(await inbox.claim('fetch', places(9))).toMatchObject([{ jobId: 'job-1', svixId: 'msg_1', body }])
    })

    it('queue named jobs again as a part of many, each in its own place', async () => {
      const { inbox, clock } = await openTest()
      const ids = ['a', 'b', 'c']
      for (const id of ids) await inbox.accept(delivery(id))
      for (const claim of await inbox.claim('fetch', places(9))) await kill(inbox, claim)
      const filter = { state: 'dead', jobIds: ['c', 'nobody', 'a'] } as const
      expect(await inbox.requeue(filter, { dryRun: true })).toBe(2)
      expect(await inbox.requeue(filter, { part: { first: 10, total: 1_000 } })).toBe(2)
      expect(await inbox.requeue(filter)).toBe(0)
      const dueIn = async (id: string) => (await inbox.get(id))!.dueAt - clock.now()
      expect([await dueIn('c'), await dueIn('a')]).toEqual([200, 220])
      expect(await inbox.get('b')).toMatchObject({ state: 'dead' })
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
      await again.pause(false)
      expect((await again.service()).pause).toBeNull()
    })
  })
}
