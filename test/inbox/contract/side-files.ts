import { describe, expect, it } from 'vitest'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, DAY, done, type InboxTest, progress } from './support.ts'

export function sideFilesContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: side files`, () => {
    it('tries missing side files again beside the hand-over, and not while the job is fetched anew', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(inbox, 1)
      const saved = progress(fetched!, { state: 'queued', stage: 'hand_over', dueAt: clock.now() })
      const sideFiles = { failures: 0, crashes: 0, dueAt: clock.now() + 1_000, spent: 1_000 }
      await inbox.settle(fetched!, saved, attempt('saved'), sideFiles)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(1_000)
      const [handed] = await claimFrom(inbox, 1, 'hand_over')
      const [side] = await claimFrom(inbox, 1)
      expect(side).toMatchObject({ jobId: 'a', task: 'side_files', sideFiles })
      expect(await inbox.erase('a')).toBe('running')
      expect(await inbox.get('a')).toMatchObject({ isRunning: true })
      expect(await inbox.lost([side!, handed!, { ...side!, token: 1 }])).toMatchObject([{ token: 1 }])
      await inbox.settle(handed!, done(handed!), attempt(), null)
      await inbox.requeue({ jobId: 'a' }, { refetch: true })
      expect(await inbox.settleSideFiles(side!, null, attempt())).toBe(false)
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'a', task: 'fetch' }])
    })

    it('keeps what is still missing for the next try, and ends when nothing is', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(inbox, 1)
      const next = { failures: 0, crashes: 0, dueAt: clock.now(), spent: 1_000 }
      await inbox.settle(fetched!, done(fetched!), attempt(), next)
      const [first] = await claimFrom(inbox, 1)
      const later = { ...next, failures: 1, dueAt: clock.now() + 2_000 }
      expect(await inbox.settleSideFiles(first!, later, { ...attempt('retry'), task: 'side_files' })).toBe(true)
      const ready = inbox.ready('fetch', new AbortController().signal)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(2_000)
      await ready
      const [second] = await claimFrom(inbox, 1)
      expect(second).toMatchObject({ task: 'side_files', sideFiles: { failures: 1 } })
      await inbox.settleSideFiles(second!, null, { ...attempt(), task: 'side_files' })
      clock.advance(DAY)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('a')).toMatchObject({
        state: 'done',
        attempts: [{ task: 'side_files' }, { task: 'side_files' }, {}],
      })
    })

    it('schedules side files again whose process died, each time later, and gives them up after five deaths', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(test.inbox, 1)
      const sideFiles = { failures: 2, crashes: 0, dueAt: test.clock.now(), spent: 1_000 }
      await test.inbox.settle(fetched!, done(fetched!), attempt(), sideFiles)
      let { inbox } = test
      let died = 0
      const pauses: number[] = []
      for (let deaths = 0; deaths < 5; deaths++) {
        const [side] = await claimFrom(inbox, 1)
        expect(side).toMatchObject({ task: 'side_files', sideFiles: { failures: 2, crashes: deaths, spent: 1_000 } })
        if (deaths > 0) pauses.push(side!.sideFiles!.dueAt - died)
        await inbox.close()
        died = test.clock.now()
        inbox = (await test.open()).inbox
        expect((await inbox.get('a'))!.attempts[0]).toMatchObject({ task: 'side_files', outcome: 'crashed' })
        expect(await claimFrom(inbox, 1)).toEqual([])
        test.clock.advance(10 * 60_000)
      }
      expect(pauses[0]).toBeGreaterThan(0)
      for (const [index, pause] of pauses.entries()) if (index > 0) expect(pause).toBeGreaterThan(pauses[index - 1]!)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('a')).toMatchObject({ state: 'done', isRunning: false })
    })

    it('tries side files again at once that a stop interrupted', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(test.inbox, 1)
      const sideFiles = { failures: 0, crashes: 0, dueAt: test.clock.now(), spent: 1_000 }
      await test.inbox.settle(fetched!, done(fetched!), attempt(), sideFiles)
      expect(await claimFrom(test.inbox, 1)).toHaveLength(1)
      await test.inbox.stopAsked()
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await claimFrom(inbox, 1)).toMatchObject([{ task: 'side_files', sideFiles }])
    })
  })
}
