import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, type InboxTest, progress } from './support.ts'

export function restartContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: restart`, () => {
    it('keeps everything', async () => {
      const test = await openTest()
      const one = delivery('job-1')
      await test.inbox.accept(one)
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await inbox.accept(one)).toMatchObject({ duplicate: true, job: 'queued' })
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('queues what was running when the process died, and counts the crash', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      await claimFrom(test.inbox, 1)
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', progress: { crashes: 1 } }])
    })

    it('makes a job dead that died five times, the last ones alone', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      let { inbox } = test
      for (let death = 0; death < 5; death++) {
        expect(await claimFrom(inbox, 1)).toHaveLength(1)
        await inbox.close()
        inbox = (await test.open()).inbox
      }
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('job-1')).toMatchObject({ state: 'dead', reason: { code: 'crashed' } })
    })

    it('counts no crash when a stop was asked for, and notes the attempt of a crash', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      await claimFrom(test.inbox, 1)
      await test.inbox.stopAsked()
      await test.inbox.close()
      const second = await test.open()
      expect(await claimFrom(second.inbox, 1)).toMatchObject([{ progress: { crashes: 0 } }])
      expect((await second.inbox.get('job-1'))!.attempts).toEqual([])
      await second.inbox.close()
      const third = await test.open()
      expect(await claimFrom(third.inbox, 1)).toMatchObject([{ progress: { crashes: 1 } }])
      expect((await third.inbox.get('job-1'))!.attempts).toMatchObject([{ outcome: 'crashed' }])
    })

    it('has no job wait longer than the longest backoff when the clock has jumped back', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      const [claim] = await claimFrom(test.inbox, 1)
      const next = progress(claim!, { state: 'queued', dueAt: test.clock.now() + 5_000 })
      await test.inbox.settle(claim!, next, attempt('retry', null), null)
      await test.inbox.close()
      test.clock.jump(-DAY)
      const { inbox } = await test.open()
      test.clock.advance(600_000)
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('refuses everything when it is closed', async () => {
      const { inbox } = await openTest()
      await inbox.close()
      await expect(inbox.accept(delivery('job-1'))).rejects.toMatchObject({ name: 'InboxUnavailable', code: 'closed' })
    })
  })
}
