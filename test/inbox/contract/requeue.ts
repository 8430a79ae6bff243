import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, dead, done, type InboxTest } from './support.ts'

export function requeueContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: requeue`, () => {
    it('queues dead jobs again, or only counts them', async () => {
      const { inbox } = await openTest()
      for (const id of ['a', 'b']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) await inbox.settle(claim, dead(claim), attempt('dead', null), null)
      expect(await inbox.requeue({ state: 'dead' }, { dryRun: true })).toBe(2)
      expect(await claimFrom(inbox, 2)).toEqual([])
      expect(await inbox.requeue({ state: 'dead', jobId: 'a' })).toBe(1)
      expect(await claimFrom(inbox, 2)).toMatchObject([{ jobId: 'a', progress: { failures: 0, reason: null } }])
      expect((await inbox.stats()).jobs).toMatchObject({ dead: 1, running: 1 })
    })

    it('queues many jobs one after another, so that new ones find their place between them', async () => {
      const { inbox, clock } = await openTest()
      for (let index = 0; index < 1_200; index++) void inbox.accept(delivery(`job-${index}`))
      await inbox.accept(delivery('last'))
      const claims = await claimFrom(inbox, 1_201)
      await Promise.all(claims.map((claim) => inbox.settle(claim, dead(claim), attempt('dead', null), null)))
      expect(await inbox.requeue({ state: 'dead' })).toBe(1_201)
      expect(await claimFrom(inbox, 1_201)).toHaveLength(1)
      clock.advance(10_000)
      const due = await claimFrom(inbox, 1_201)
      expect(due.length).toBeGreaterThan(400)
      expect(due.length).toBeLessThan(600)
      clock.advance(600_000)
      expect(await claimFrom(inbox, 1_201)).toHaveLength(1_200 - due.length)
    })

    it('hands what is saved over again, as a round of its own, and fetches it anew only when asked to', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('a'))
      const [first] = await claimFrom(inbox, 1)
      expect(first).toMatchObject({ round: 1, fetchSince: 0 })
      await inbox.settle(first!, done(first!), attempt(), null)
      expect(await inbox.requeue({ jobId: 'a' })).toBe(1)
      expect(await claimFrom(inbox, 1)).toEqual([])
      const [second] = await claimFrom(inbox, 1, 'hand_over')
      expect(second).toMatchObject({ task: 'hand_over', round: 2, fetchSince: 0 })
      await inbox.settle(second!, done(second!), attempt(), null)
      await inbox.requeue({ jobId: 'a' }, { refetch: true })
      const [third] = await claimFrom(inbox, 1)
      expect(third).toMatchObject({ task: 'fetch', round: 3, fetchSince: 3 })
      // What died without its fetch is handed over as it was saved.
      await inbox.settle(third!, dead(third!), attempt('dead', null), null)
      await inbox.requeue({ jobId: 'a' })
      expect(await claimFrom(inbox, 1, 'hand_over')).toMatchObject([{ task: 'hand_over', round: 4 }])
    })
  })
}
