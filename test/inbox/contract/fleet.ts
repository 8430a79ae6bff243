import { describe, expect, it } from 'vitest'
import type { InboxTest } from './support.ts'

export function fleetContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: one task at a time`, () => {
    it('begins no task that is under way, and each again when it has ended, also with an error', async () => {
      const { inbox } = await openTest()
      const held = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const first = inbox.exclusively('sweep', async () => {
        begun.resolve()
        await held.promise
        throw new Error('disk trouble')
      })
      await begun.promise
      expect(await inbox.exclusively('sweep', () => expect.unreachable())).toBe(false)
      expect(await inbox.exclusively('other', async () => {})).toBe(true)
      held.resolve()
      await expect(first).rejects.toThrow('disk trouble')
      expect(await inbox.exclusively('sweep', async () => {})).toBe(true)
    })

    it('has one time for all', async () => {
      const { inbox, clock } = await openTest()
      expect(inbox.clock.now()).toBe(clock.now())
    })
  })
}
