import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, because, claimFrom, DAY, dead, done, type InboxTest } from './support.ts'

export function retentionContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: erase and retention`, () => {
    it('erases what a job holds, and keeps its ids, so that nothing brings it back', async () => {
      const { inbox } = await openTest()
      const first = delivery('a', { metadata: { name: 'Ada' } })
      await inbox.accept(first)
      await inbox.accept(delivery('a'))
      const [claim] = await claimFrom(inbox, 1)
      expect(await inbox.erase('a')).toBe('running')
      await inbox.settle(claim!, dead(claim!), attempt(), null)
      expect(await inbox.erase('a')).toBe('erased')
      expect(await inbox.erase('nobody')).toBe('unknown')
      expect(await inbox.get('a')).toMatchObject({ state: 'done', reason: { code: 'erased' }, attempts: [] })
      expect((await inbox.get('a'))!.deliveries).toHaveLength(2)
      expect(await inbox.accept(first)).toEqual({ duplicate: true, requeued: false, job: 'done' })
      expect(await inbox.accept(delivery('a', { status: 'Failed' }))).toMatchObject({ job: 'done' })
      expect(await inbox.requeue({ jobId: 'a' })).toBe(0)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect((await inbox.stats()).jobs).toMatchObject({ done: 1, dead: 0 })
    })

    it('forgets deliveries and done jobs from their last activity on; queued and dead ones stay', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['done', 'dead', 'active']) await inbox.accept(delivery(id, { at: clock.now() }))
      const ping = { ...delivery('', { at: clock.now() }), content: { is: 'ignored' } } as const
      await inbox.accept(ping)
      const claims = await claimFrom(inbox, 3)
      for (const claim of claims) {
        const dies = claim.jobId === 'dead'
        await inbox.settle(claim, dies ? dead(claim) : done(claim), attempt(dies ? 'dead' : 'done'), null)
      }
      await inbox.accept(delivery('queued', { at: clock.now() }))
      clock.advance(100 * DAY)
      await inbox.accept(delivery('active', { at: clock.now() }))
      clock.advance(1)
      expect(await inbox.prune(clock.now() - 100 * DAY)).toBeGreaterThan(0)
      expect(await inbox.get('done')).toBeNull()
      for (const id of ['dead', 'active', 'queued']) expect(await inbox.get(id)).not.toBeNull()
      expect(await inbox.stats()).toMatchObject({
        jobs: { queued: 1, running: 0, done: 1, dead: 1 },
        deliveries: { job: 4, ignored: 0 },
      })
      expect(await inbox.accept(ping)).toMatchObject({ duplicate: false })
    })

    it('forgets bodies and what attempts said before the ids, and never of a job that is not done', async () => {
      const { inbox, clock } = await openTest()
      const secret = (id: string) => delivery(id, { at: clock.now(), metadata: { name: id } })
      const kept = ['dead', 'queued', 'active']
      const first = secret('done')
      await inbox.accept(first)
      for (const id of ['dead', 'active']) await inbox.accept(secret(id))
      await inbox.accept({ ...delivery('', { at: clock.now() }), svixId: 'msg_ping', content: { is: 'ignored' } })
      const reason = because('x', 'no field "name" in Ada')
      for (const claim of await claimFrom(inbox, 3)) {
        const next = claim.jobId === 'dead' ? dead(claim) : done(claim)
        await inbox.settle(claim, next, { ...attempt('retry', null), reason }, null)
      }
      await inbox.accept(secret('queued'))
      clock.advance(7 * DAY)
      await inbox.accept(secret('active'))
      clock.advance(1)
      expect(await inbox.pruneBodies(clock.now() - 7 * DAY)).toBe(3)
      expect(await inbox.bodies(['done', ...kept])).toEqual([null, ...kept.map(() => expect.any(String))])
      expect((await inbox.delivery('msg_ping'))!.body).toBeNull()
      const texts = async (id: string) => (await inbox.get(id))!.attempts.map((one) => one.reason)
      expect(await texts('done')).toEqual([{ code: 'x', message: '' }])
      for (const id of ['dead', 'active']) expect(await texts(id)).toEqual([reason])
      // It is known as before, and what was cleared is not met again.
      expect(await inbox.accept(first)).toEqual({ duplicate: true, requeued: false, job: 'done' })
      expect(await inbox.pruneBodies(clock.now() - 7 * DAY)).toBe(0)
      // A person can still queue it again: it comes without a body.
      await inbox.requeue({ jobId: 'done' }, { refetch: true })
      const claims = await claimFrom(inbox, 9)
      expect(claims.find(({ jobId }) => jobId === 'done')).toMatchObject({ body: null, svixId: first.svixId })
    })

    it('forgets the bodies of thousands, step by step, until it is told to stop', async () => {
      const { inbox, clock } = await openTest()
      const ids = Array.from({ length: 1_200 }, () => randomUUID())
      await Promise.all(ids.map((id) => inbox.accept(delivery(id, { at: clock.now() }))))
      const claims = await claimFrom(inbox, 1_200)
      const said = { ...attempt(), reason: because('x', 'words') }
      await Promise.all(claims.map((claim) => inbox.settle(claim, done(claim), said, null)))
      clock.advance(DAY)
      expect(await inbox.pruneBodies(clock.now())).toBe(2_400)
      expect(new Set(await inbox.bodies(ids))).toEqual(new Set([null]))
      expect((await inbox.stats()).jobs.done).toBe(1_200)
    })

    it('erases the body of a delivery that concerns no job, and of no other', async () => {
      const { inbox } = await openTest()
      await inbox.accept({ ...delivery(''), svixId: 'msg_odd', content: { is: 'rejected', reason: 'odd' } })
      await inbox.accept({ ...delivery('a'), svixId: 'msg_a' })
      expect(await inbox.eraseDelivery('msg_odd')).toBe(true)
      expect(await inbox.eraseDelivery('msg_a')).toBe(false)
      expect(await inbox.eraseDelivery('nobody')).toBe(false)
      expect(await inbox.delivery('msg_odd')).toMatchObject({ body: null, note: 'odd' })
      expect((await inbox.delivery('msg_a'))!.body).not.toBeNull()
    })

    it('forgets thousands', async () => {
      const { inbox, clock } = await openTest()
      const ids = Array.from({ length: 1_200 }, () => randomUUID())
      await Promise.all(ids.map((id) => inbox.accept(delivery(id, { at: clock.now() }))))
      const claims = await claimFrom(inbox, 1_200)
      await Promise.all(claims.map((claim) => inbox.settle(claim, done(claim), attempt(), null)))
      clock.advance(DAY)
      await inbox.prune(clock.now())
      expect(await inbox.stats()).toMatchObject({ jobs: { done: 0 }, deliveries: { job: 0 } })
    })
  })
}
