import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, because, claimFrom, dead, done, type InboxTest, progress } from './support.ts'

export function claimContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: claim and settle`, () => {
    it('tells what the worker needs', async () => {
      const { inbox, clock } = await openTest()
      const one = delivery('job-1', { svixId: 'msg_1' })
      await inbox.accept(one)
      expect(await claimFrom(inbox, 1)).toEqual([
        {
          jobId: 'job-1',
          token: expect.any(Number),
          endpoint: 'default',
          endpoints: ['default'],
          svixId: 'msg_1',
          receivedAt: one.receivedAt,
          task: 'fetch',
          sideFiles: null,
          round: 1,
          fetchSince: 0,
          body: one.body,
          announced: 'Completed',
          progress: {
            state: 'running',
            stage: 'fetch',
            failures: 0,
            polls: 0,
            crashes: 0,
            dueAt: clock.now(),
            spent: 0,
            goneSpent: null,
            reason: null,
          },
        },
      ])
    })

    it('keeps the standing that it is given, and gives the job out when it is due', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [claim] = await claimFrom(inbox, 1)
      const next = progress(claim!, {
        state: 'queued',
        failures: 3,
        polls: 2,
        crashes: 1,
        dueAt: clock.now() + 5_000,
        goneSpent: 42,
        reason: because('http_503', 'Reducto answered 503'),
      })
      expect(await inbox.settle(claim!, next, attempt('retry', null), null)).toBe(true)
      clock.advance(4_999)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(1)
      const [again] = await claimFrom(inbox, 1)
      expect(again!.progress).toEqual({ ...next, state: 'running' })
      expect(again!.token).toBeGreaterThan(claim!.token)
    })

    it('fences: an old claim changes nothing', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [old] = await claimFrom(inbox, 1)
      await inbox.settle(old!, progress(old!, { state: 'queued' }), attempt('retry', null), null)
      const [current] = await claimFrom(inbox, 1)
      expect(await inbox.lost([old!, current!])).toEqual([old])
      expect(await inbox.settle(old!, done(old!), attempt(), null)).toBe(false)
      expect(await inbox.get('job-1')).toMatchObject({ state: 'running' })
      expect(await inbox.settle(current!, done(current!), attempt(), null)).toBe(true)
      expect(await inbox.settle(current!, dead(current!), attempt(), null)).toBe(false)
      expect(await inbox.get('job-1')).toMatchObject({ state: 'done' })
    })

    it('notes attempts, the latest first', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [first] = await claimFrom(inbox, 1)
      const reason = because('http_503', 'Reducto answered 503')
      await inbox.settle(
        first!,
        progress(first!, { state: 'queued', reason }),
        { ...attempt('retry', null), reason },
        null,
      )
      const [second] = await claimFrom(inbox, 1)
      await inbox.settle(second!, done(second!), { ...attempt(), startedAt: 2_000 }, null)
      expect((await inbox.get('job-1'))!.attempts).toMatchObject([
        {
          startedAt: 2_000,
          ms: 5,
          task: 'fetch',
          outcome: 'done',
          reason: null,
          savedStatus: 'Completed',
          type: 'Parse',
        },
        { startedAt: 1_000, ms: 5, task: 'fetch', outcome: 'retry', reason, savedStatus: null, type: null },
      ])
    })

    it('keeps the latest fifty attempts', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      for (let startedAt = 1; startedAt <= 52; startedAt++) {
        const [claim] = await claimFrom(inbox, 1)
        const noted = { ...attempt('retry', null), startedAt, ms: 1.4 }
        await inbox.settle(claim!, progress(claim!, { state: 'queued' }), noted, null)
      }
      const { attempts } = (await inbox.get('job-1'))!
      expect(attempts.map(({ startedAt }) => startedAt)).toEqual(Array.from({ length: 50 }, (_, index) => 52 - index))
      expect(attempts[0]).toMatchObject({ ms: 1 })
    })
  })
}
