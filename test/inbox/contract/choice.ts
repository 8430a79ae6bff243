import { describe, expect, it } from 'vitest'
import type { JobProgress } from '../../../src/job.ts'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, done, type InboxTest, progress } from './support.ts'

export function choiceContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: choice of claims`, () => {
    it('gives out due jobs, the oldest and the newest by turns, each once', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b', 'c']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      expect((await claimFrom(inbox, 2)).map(({ jobId }) => jobId)).toEqual(['a', 'c'])
      expect((await claimFrom(inbox, 2)).map(({ jobId }) => jobId)).toEqual(['b'])
      expect(await claimFrom(inbox, 2)).toEqual([])
    })

    it('lets a job that has crashed twice run alone', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('crasher'))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, progress(claim!, { state: 'queued', crashes: 2 }), attempt('interrupted', null), null)
      clock.advance(1)
      await inbox.accept(delivery('a'))
      await inbox.accept(delivery('b'))
      const alone = await claimFrom(inbox, 8)
      expect(alone.map(({ jobId }) => jobId)).toEqual(['crasher'])
      expect(await claimFrom(inbox, 8)).toEqual([])
      await inbox.settle(alone[0]!, done(alone[0]!), attempt(), null)
      expect(await claimFrom(inbox, 8)).toHaveLength(2)
    })

    it('waits for the others to end before it gives out a job that must run alone', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('crasher'))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.accept(delivery('other'))
      clock.advance(1)
      const [other] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, progress(claim!, { state: 'queued', crashes: 2 }), attempt('interrupted', null), null)
      expect(await claimFrom(inbox, 8)).toEqual([])
      await inbox.settle(other!, done(other!), attempt(), null)
      expect(await claimFrom(inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    })

    it('goes on with both stages when a job that ran alone has ended, however it ended', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved' ? { state: 'queued', stage: 'hand_over' } : { state: 'queued', crashes: 2 }
        await inbox.settle(claim, progress(claim, change), attempt('interrupted', null), null)
      }
      const [alone] = await claimFrom(inbox, 8)
      expect(alone).toMatchObject({ jobId: 'crasher' })
      expect(await claimFrom(inbox, 8, 'hand_over')).toEqual([])
      const ready = inbox.ready('hand_over', new AbortController().signal)
      const later = progress(alone!, { state: 'queued', crashes: 0, failures: 1, dueAt: clock.now() + 60_000 })
      await inbox.settle(alone!, later, attempt('retry', null), null)
      await ready
      expect(await claimFrom(inbox, 8, 'hand_over')).toMatchObject([{ jobId: 'saved' }])
    })

    it('wakes the other stage for a job that must run alone when the last other one has ended', async () => {
      const { inbox } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved'
            ? { state: 'queued', stage: 'hand_over' }
            : { state: 'queued', crashes: 2, failures: 1 }
        if (claim.jobId === 'saved') await inbox.settle(claim, progress(claim, change), attempt('saved', null), null)
        else
          await inbox.settle(claim, progress(claim, { ...change, dueAt: Date.now() * 2 }), attempt('retry', null), null)
      }
      const [handed] = await claimFrom(inbox, 8, 'hand_over')
      await inbox.requeue({ jobId: 'crasher' })
      expect(await claimFrom(inbox, 8)).toEqual([])
      const ready = inbox.ready('fetch', new AbortController().signal)
      await inbox.settle(handed!, done(handed!), attempt(), null)
      await ready
      expect(await claimFrom(inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    })

    it('lets a job that must run alone hold up nobody while its stage may not claim', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved' ? { state: 'queued', stage: 'hand_over' } : { state: 'queued', crashes: 2 }
        await inbox.settle(claim, progress(claim, change), attempt('interrupted', null), null)
      }
      clock.advance(1)
      expect(await claimFrom(inbox, 8, 'hand_over')).toEqual([])
      const slots = { limit: 8, total: 8, newestFirst: false, isOtherOpen: false }
      expect(await inbox.claim('hand_over', slots)).toMatchObject([{ jobId: 'saved' }])
    })

    it('gives out the jobs of one stage only', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      const [a] = await claimFrom(inbox, 1)
      const saved = progress(a!, { state: 'queued', stage: 'hand_over', dueAt: clock.now() })
      await inbox.settle(a!, saved, attempt('saved'), null)
      expect(await claimFrom(inbox, 9)).toMatchObject([{ jobId: 'b', task: 'fetch' }])
      expect(await claimFrom(inbox, 9, 'hand_over')).toMatchObject([{ jobId: 'a', task: 'hand_over' }])
      expect(await inbox.get('a')).toMatchObject({ stage: 'hand_over', type: 'Parse', status: 'Completed' })
    })

    it('lets retries hold half of the slots at most', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b', 'c', 'd', 'e']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 5))
        await inbox.settle(claim, progress(claim, { state: 'queued', failures: 1 }), attempt('retry', null), null)
      clock.advance(1)
      expect(await inbox.claim('fetch', { limit: 4, total: 4, newestFirst: false, isOtherOpen: true })).toHaveLength(2)
      expect(await inbox.claim('fetch', { limit: 2, total: 4, newestFirst: false, isOtherOpen: true })).toEqual([])
      await inbox.accept(delivery('new'))
      expect(await inbox.claim('fetch', { limit: 2, total: 4, newestFirst: false, isOtherOpen: true })).toMatchObject([
        { jobId: 'new' },
      ])
    })

    it('lets endpoints take turns', async () => {
      const { inbox, clock } = await openTest()
      for (let index = 0; index < 100; index++)
        await inbox.accept(delivery(`invented-${index}`, { endpoint: 'leaked' }))
      clock.advance(1)
      await inbox.accept(delivery('real'))
      for (let index = 0; index < 100; index++) await inbox.accept(delivery(`more-${index}`, { endpoint: 'leaked' }))
      const claims = await inbox.claim('fetch', { limit: 8, total: 8, newestFirst: false, isOtherOpen: true })
      expect(claims.map(({ jobId }) => jobId)).toContain('real')
    })

    it('gives out the newest first as a trial', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['old', 'middle', 'new']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      const claims = await inbox.claim('fetch', { limit: 2, total: 8, newestFirst: true, isOtherOpen: true })
      expect(claims.map(({ jobId }) => jobId)).toEqual(['new', 'middle'])
    })
  })
}
