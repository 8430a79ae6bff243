import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, dead, done, type InboxTest } from './support.ts'

export function acceptContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: accept`, () => {
    it('records a new delivery, and queues its job as due now', async () => {
      const { inbox, clock } = await openTest()
      const one = delivery('job-1', { svixId: 'msg_1', metadata: { a: 1 } })
      expect(await inbox.accept(one)).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      expect(await inbox.get('job-1')).toMatchObject({ state: 'queued', dueAt: clock.now(), endpoints: ['default'] })
      expect(inbox.isFailing()).toBe(false)
    })

    it('takes one of many copies that arrive together as new', async () => {
      const { inbox } = await openTest()
      const one = delivery('job-1')
      const receipts = await Promise.all(Array.from({ length: 100 }, () => inbox.accept(one)))
      expect(receipts.filter((receipt) => !receipt.duplicate)).toHaveLength(1)
      expect((await inbox.get('job-1'))!.deliveries).toMatchObject([{ arrivals: 100 }])
      expect((await inbox.stats()).jobs.queued).toBe(1)
    })

    it('makes one job of many deliveries that arrive together', async () => {
      const { inbox } = await openTest()
      await Promise.all(Array.from({ length: 50 }, () => inbox.accept(delivery('job-1'))))
      expect((await inbox.get('job-1'))!.deliveries).toHaveLength(50)
      expect(await claimFrom(inbox, 10)).toHaveLength(1)
    })

    it('attaches a further delivery to a job that is queued, running or done', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      expect(await inbox.accept(delivery('job-1'))).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      const [claim] = await claimFrom(inbox, 1)
      expect(await inbox.accept(delivery('job-1'))).toMatchObject({ job: 'running' })
      await inbox.settle(claim!, done(claim!), attempt(), null)
      expect(await inbox.accept(delivery('job-1'))).toEqual({ duplicate: false, requeued: false, job: 'done' })
      expect(await claimFrom(inbox, 1)).toEqual([])
    })

    it.each([true, false])('queues a dead job again (known id: %s) with fresh attempts', async (known) => {
      const { inbox, clock } = await openTest()
      const first = delivery('job-1')
      await inbox.accept(first)
      const [claim] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, { ...dead(claim!), failures: 7 }, attempt('dead', null), null)
      clock.advance(DAY)
      const receipt = await inbox.accept(known ? first : delivery('job-1'))
      expect(receipt).toEqual({ duplicate: known, requeued: true, job: 'queued' })
      const [again] = await claimFrom(inbox, 1)
      expect(again).toMatchObject({ progress: { failures: 0, spent: 0, reason: null }, round: 2 })
    })

    it('has a done job fetched anew when a new delivery contradicts what was recorded', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      const [claim] = await claimFrom(inbox, 1)
      expect(claim).toMatchObject({ round: 1, fetchSince: 0 })
      await inbox.settle(claim!, done(claim!), attempt('done', 'Failed'), null)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      const [again] = await claimFrom(inbox, 1)
      expect(again).toMatchObject({ round: 2, fetchSince: 2 })
      await inbox.settle(again!, done(again!), attempt('done', 'Completed'), null)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      expect(await claimFrom(inbox, 1)).toEqual([])
    })

    it('does the same when the contradicting delivery comes while the job runs', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      await inbox.settle(claim!, done(claim!), attempt('done', 'Failed'), null)
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', round: 2, fetchSince: 2 }])
    })

    it('tells a claim what was announced last', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      expect(await claimFrom(inbox, 1)).toMatchObject([{ announced: 'Failed', round: 2, fetchSince: 2 }])
    })

    it('takes a message of another endpoint with an id that is taken for one of its own', async () => {
      const { inbox } = await openTest()
      const ignored = { ...delivery(''), body: '{"x":1}', content: { is: 'ignored' } } as const
      await inbox.accept({ ...ignored, svixId: 'msg_1', endpoint: 'leaked' })
      const real = delivery('job-1', { svixId: 'msg_1', metadata: { name: 'Ada' } })
      expect(await inbox.accept(real)).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      expect(await inbox.accept(real)).toMatchObject({ duplicate: true })
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', body: real.body }])
    })

    it('keeps deliveries that concern no job, once each', async () => {
      const { inbox } = await openTest()
      const ping = { ...delivery(''), body: '{}', content: { is: 'ignored' } } as const
      const bad = { ...delivery(''), body: '[]', content: { is: 'rejected', reason: 'not an object' } } as const
      for (const one of [ping, bad]) {
        expect(await inbox.accept(one)).toEqual({ duplicate: false, requeued: false, job: null })
        expect(await inbox.accept(one)).toEqual({ duplicate: true, requeued: false, job: null })
      }
      expect((await inbox.stats()).deliveries).toEqual({ job: 0, ignored: 1, rejected: 1 })
    })

    it('lists the endpoint of a copy that came through another one', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { svixId: 'msg_1' }))
      await inbox.accept(delivery('job-1', { svixId: 'msg_1', endpoint: 'dev' }))
      await inbox.accept(delivery('job-1', { endpoint: 'dev' }))
      expect(await claimFrom(inbox, 1)).toMatchObject([{ endpoint: 'default', endpoints: ['default', 'dev'] }])
    })

    it('keeps text exactly', async () => {
      const { inbox } = await openTest()
      const body = '{"job_id":"job-1","status":"Completed","metadata":"\u0000 Ω€😀 \\u0000"}'
      await inbox.accept({ ...delivery('job-1'), body })
      expect(await claimFrom(inbox, 1)).toMatchObject([{ body }])
    })
  })
}
