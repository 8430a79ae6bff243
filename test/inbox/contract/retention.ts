import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, dead, done, type InboxTest } from './support.ts'

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
