import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, type InboxTest, progress } from './support.ts'

export function readyContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: ready`, () => {
    const patience = new AbortController().signal

    it('resolves when a delivery is accepted', async () => {
      const { inbox } = await openTest()
      await claimFrom(inbox, 1)
      const ready = inbox.ready('fetch', patience)
      await inbox.accept(delivery('job-1'))
      await ready
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('resolves at once when something came between the claim and the wait', async () => {
      const { inbox } = await openTest()
      const claim = claimFrom(inbox, 1)
      const accepted = inbox.accept(delivery('job-1'))
      await Promise.all([claim, accepted])
      await inbox.ready('fetch', patience)
    })

    it('resolves when a job falls due, and when the clock has jumped back', async () => {
      for (const move of ['advance', 'jump'] as const) {
        const { inbox, clock } = await openTest()
        await inbox.accept(delivery('job-1'))
        const [claim] = await claimFrom(inbox, 1)
        await inbox.settle(
          claim!,
          progress(claim!, { state: 'queued', dueAt: clock.now() + 700 }),
          attempt('retry', null),
          null,
        )
        expect(await claimFrom(inbox, 1)).toEqual([])
        const ready = inbox.ready('fetch', patience)
        if (move === 'jump') {
          // As far back as no backoff reaches: the job is due within ten minutes all the same.
          clock.jump(-DAY)
          clock.advance(1_000)
          await ready
          clock.advance(600_000)
        } else clock.advance(700)
        await ready
        expect(await claimFrom(inbox, 1)).toHaveLength(1)
      }
    })

    it('resolves when the signal aborts', async () => {
      const { inbox } = await openTest()
      await claimFrom(inbox, 1)
      const stop = new AbortController()
      const ready = inbox.ready('fetch', stop.signal)
      stop.abort()
      await ready
    })

    it('does not resolve for due jobs that a pause holds back, until it ends', async () => {
      const { inbox } = await openTest()
      await inbox.pause(true)
      await inbox.accept(delivery('job-1'))
      expect(await claimFrom(inbox, 1)).toEqual([])
      let resolved = false
      const ready = inbox.ready('fetch', patience).then(() => {
        resolved = true
      })
      await inbox.stats()
      expect(resolved).toBe(false)
      await inbox.pause(false)
      await ready
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('is ready for a stage, though another stage has had due jobs for long', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['saved', 'later']) await inbox.accept(delivery(id))
      const [saved, later] = await claimFrom(inbox, 2)
      await inbox.settle(saved!, progress(saved!, { state: 'queued', stage: 'hand_over' }), attempt(), null)
      const due = progress(later!, { state: 'queued', dueAt: clock.now() + 5_000 })
      await inbox.settle(later!, due, attempt('retry', null), null)
      expect(await claimFrom(inbox, 1)).toEqual([])
      const ready = inbox.ready('fetch', new AbortController().signal)
      clock.advance(5_000)
      await ready
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: later!.jobId }])
    })
  })
}
