import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, done, type InboxTest } from './support.ts'

/** Jobs that were submitted and that no delivery has announced yet. */
export function expectedContract(name: string, openTest: () => Promise<InboxTest>): void {
  const metadataOf = (body: string | null | undefined) => JSON.parse(body ?? 'null')?.metadata

  describe(`${name}: expected jobs`, () => {
    it('registers a job that no delivery named: it is listed and counted, and no worker gets it', async () => {
      const { inbox, clock } = await openTest()
      expect(await inbox.expect('job-1', { metadata: { user: 'Ada' }, by: 'test' })).toBe('expected')
      expect(await inbox.get('job-1')).toMatchObject({
        ...{ state: 'expected', endpoint: 'default', status: null, deliveries: [], createdAt: clock.now() },
        registered: { by: 'test', at: clock.now() },
      })
      expect((await inbox.list({ state: 'expected' }, { limit: 9 })).rows).toMatchObject([{ jobId: 'job-1' }])
      expect((await inbox.list({ metadata: { user: 'Ada' } }, { limit: 9 })).rows).toHaveLength(1)
      expect((await inbox.list({ metadata: { user: 'Eve' } }, { limit: 9 })).rows).toEqual([])
      expect((await inbox.bodies(['job-1'])).map(metadataOf)).toEqual([{ user: 'Ada' }])
      expect((await inbox.stats()).jobs).toMatchObject({ expected: 1, queued: 0 })
      expect(await claimFrom(inbox, 9)).toEqual([])
      expect(await inbox.requeue({ state: 'expected' })).toBe(0)
    })

    it('keeps it over a restart', async () => {
      const { inbox, open } = await openTest()
      await inbox.expect('job-1', { metadata: { n: 1 }, endpoint: 'dev', by: 'test' })
      await inbox.close()
      const { inbox: again } = await open()
      expect(await again.get('job-1')).toMatchObject({ state: 'expected', endpoint: 'dev', registered: { by: 'test' } })
      await again.accept(delivery('job-1', { metadata: { n: 2 } }))
      const [claim] = await claimFrom(again, 1)
      expect(metadataOf(claim!.body)).toEqual({ n: 1 })
    })

    it('is queued by its delivery, and keeps the registered metadata and endpoint', async () => {
      const { inbox } = await openTest()
      await inbox.expect('job-1', { metadata: { user: 'Ada' }, endpoint: 'dev', by: 'test' })
      const one = delivery('job-1', { svixId: 'msg_1', metadata: { user: 'Eve' } })
      expect(await inbox.accept(one)).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      expect((await inbox.stats()).jobs).toMatchObject({ expected: 0, queued: 1 })
      const [claim] = await claimFrom(inbox, 9)
      expect(claim).toMatchObject({
        ...{ endpoint: 'dev', endpoints: ['dev', 'default'], svixId: 'msg_1', announced: 'Completed', round: 1 },
      })
      expect(metadataOf(claim!.body)).toEqual({ user: 'Ada' })
      expect((await inbox.list({ metadata: { user: 'Ada' } }, { limit: 9 })).rows).toHaveLength(1)
      expect((await inbox.list({ endpoint: 'dev' }, { limit: 9 })).rows).toHaveLength(1)
    })

    it('takes from its delivery what was not registered', async () => {
      const { inbox } = await openTest()
      await inbox.expect('job-1', { by: 'test' })
      await inbox.accept(delivery('job-1', { endpoint: 'dev', metadata: { user: 'Eve' } }))
      await inbox.accept(delivery('job-1', { endpoint: 'other' }))
      const [claim] = await claimFrom(inbox, 9)
      expect(claim).toMatchObject({ endpoint: 'dev', endpoints: ['dev', 'other'] })
      expect(metadataOf(claim!.body)).toEqual({ user: 'Eve' })
    })

    it('takes what is given anew while it is expected, and keeps the rest', async () => {
      const { inbox, clock } = await openTest()
      await inbox.expect('job-1', { metadata: { n: 1 }, by: 'first' })
      const at = clock.now()
      clock.advance(1_000)
      expect(await inbox.expect('job-1', { endpoint: 'dev', by: 'second' })).toBe('expected')
      expect(await inbox.get('job-1')).toMatchObject({ endpoint: 'dev', registered: { by: 'first', at } })
      expect((await inbox.bodies(['job-1'])).map(metadataOf)).toEqual([{ n: 1 }])
      expect((await inbox.stats()).jobs.expected).toBe(1)
    })

    it('never moves a known job back', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { metadata: { n: 1 } }))
      expect(await inbox.expect('job-1', { metadata: { n: 2 }, endpoint: 'dev', by: 'late' })).toBe('known')
      const [claim] = await claimFrom(inbox, 1)
      expect(await inbox.expect('job-1', { by: 'late' })).toBe('known')
      await inbox.settle(claim!, done(claim!), attempt(), null)
      expect(await inbox.expect('job-1', { metadata: { n: 2 }, by: 'late' })).toBe('known')
      expect(await inbox.get('job-1')).toMatchObject({ state: 'done', endpoint: 'default', registered: null })
      expect((await inbox.bodies(['job-1'])).map(metadataOf)).toEqual([{ n: 1 }])
      await inbox.erase('job-1')
      expect(await inbox.expect('job-1', { by: 'late' })).toBe('known')
    })

    it('keeps the digits of the numbers in its metadata', async () => {
      const { inbox } = await openTest()
      const { parseLossless } = await import('../../../src/lossless-json.ts')
      await inbox.expect('job-1', { metadata: parseLossless('{"n":12345678901234567890}'), by: 'test' })
      expect((await inbox.bodies(['job-1']))[0]).toContain('12345678901234567890')
    })

    it('is queued when Reducto says that it ended, and fetched once when the webhook comes after all', async () => {
      const { inbox } = await openTest()
      await inbox.expect('job-1', { metadata: { n: 1 }, by: 'test' })
      expect(await inbox.missed('job-1', { status: 'Completed', endpoint: 'default' })).toBe('queued')
      expect(await inbox.missed('job-1', { status: 'Completed', endpoint: 'default' })).toBe('known')
      const [claim] = await claimFrom(inbox, 9)
      expect(claim).toMatchObject({ svixId: null, announced: 'Completed', round: 1 })
      expect(metadataOf(claim!.body)).toEqual({ n: 1 })
      expect(await inbox.accept(delivery('job-1', { svixId: 'msg_1' }))).toMatchObject({ job: 'running' })
      await inbox.settle(claim!, done(claim!), attempt(), null)
      expect(await inbox.accept(delivery('job-1'))).toMatchObject({ job: 'done' })
      expect(await claimFrom(inbox, 9)).toEqual([])
      expect((await inbox.get('job-1'))!.deliveries).toHaveLength(2)
      expect(await inbox.missed('job-1', { status: 'Failed', endpoint: 'default' })).toBe('known')
    })

    it('makes a job of one that Reducto has and nobody registered', async () => {
      const { inbox } = await openTest()
      expect(await inbox.missed('job-1', { status: 'Failed', endpoint: 'dev' })).toBe('queued')
      expect(await claimFrom(inbox, 9)).toMatchObject([
        { jobId: 'job-1', endpoint: 'dev', announced: 'Failed', svixId: null, body: null, round: 1 },
      ])
    })

    it('wakes the worker for a job that was missed', async () => {
      const { inbox } = await openTest()
      await inbox.expect('job-1', { by: 'test' })
      await claimFrom(inbox, 1)
      let isReady = false
      const ready = inbox.ready('fetch', AbortSignal.timeout(10_000)).then(() => {
        isReady = true
      })
      await inbox.stats()
      expect(isReady).toBe(false)
      await inbox.missed('job-1', { status: null, endpoint: 'default' })
      await ready
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', announced: null }])
    })

    it('tells the overdue ones, the oldest first, page by page, however they change meanwhile', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['b', 'a', 'c', 'd', 'e']) {
        await inbox.expect(id, { by: 'test' })
        if (id !== 'a') clock.advance(1_000)
      }
      const before = clock.now() - 1_000
      const first = await inbox.overdue(before, 2)
      expect(first).toMatchObject({ jobs: [{ jobId: 'b' }, { jobId: 'a' }], total: 4, next: expect.any(Number) })
      await inbox.accept(delivery('a'))
      const second = await inbox.overdue(before, 9, first.next!)
      expect(second).toMatchObject({ jobs: [{ jobId: 'c' }, { jobId: 'd' }], total: 3, next: null })
      expect(await inbox.overdue(0, 9)).toEqual({ jobs: [], total: 0, next: null })
    })

    it('loses its registered metadata with the bodies, once it is done', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['done', 'open']) await inbox.expect(id, { metadata: { n: 1 }, by: 'test' })
      await inbox.missed('done', { status: 'Completed', endpoint: 'default' })
      const [claim] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, done(claim!), attempt(), null)
      clock.advance(DAY)
      expect(await inbox.pruneBodies(clock.now())).toBe(1)
      expect((await inbox.bodies(['done', 'open'])).map(metadataOf)).toEqual([undefined, { n: 1 }])
      expect(await inbox.get('done')).toMatchObject({ state: 'done', registered: { by: 'test' } })
    })

    it('knows when the service looked last, over restarts', async () => {
      const { inbox, clock, open } = await openTest()
      const at = clock.now()
      expect(await inbox.looked()).toBeNull()
      await inbox.close()
      const { inbox: again } = await open()
      clock.advance(DAY)
      expect(await again.looked()).toBe(at)
      expect(await again.looked()).toBe(at + DAY)
    })

    it('is erased with its metadata, and never pruned before it ended', async () => {
      const { inbox, clock } = await openTest()
      await inbox.expect('job-1', { metadata: { n: 1 }, by: 'test' })
      await inbox.expect('job-2', { by: 'test' })
      expect(await inbox.erase('job-1')).toBe('erased')
      expect(await inbox.bodies(['job-1'])).toEqual([null])
      clock.advance(200 * DAY)
      await inbox.prune(clock.now() - 100 * DAY)
      expect(await inbox.get('job-1')).toBeNull()
      expect(await inbox.get('job-2')).toMatchObject({ state: 'expected' })
      // Nothing of the first one is left for whoever takes its number.
      await inbox.expect('job-3', { by: 'test' })
      expect(await inbox.bodies(['job-3'])).toEqual([null])
    })
  })
}
