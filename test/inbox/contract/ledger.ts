import { describe, expect, it } from 'vitest'
import type { JobFilter } from '../../../src/inbox/inbox.ts'
import { delivery } from '../../support/service.ts'
import { attempt, because, claimFrom, dead, done, type InboxTest, progress } from './support.ts'

export function ledgerContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: ledger`, () => {
    it('knows nothing of an unknown job', async () => {
      const { inbox } = await openTest()
      expect(await inbox.get('nobody')).toBeNull()
    })

    it('counts', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now()
      await inbox.accept(delivery('a', { at }))
      clock.advance(10)
      for (const id of ['b', 'c', 'd']) await inbox.accept(delivery(id, { at: clock.now() }))
      const [a, b, c] = await claimFrom(inbox, 3)
      await inbox.settle(b!, done(b!), attempt(), null)
      await inbox.settle(c!, dead(c!), attempt('dead', null), null)
      expect(await inbox.stats()).toEqual({
        jobs: { expected: 0, queued: 1, running: 1, done: 1, dead: 1 },
        deliveries: { job: 4, ignored: 0, rejected: 0 },
        oldestQueuedAt: clock.now(),
        oldestDueAt: { fetch: clock.now(), hand_over: null },
        lastVerifiedAt: clock.now(),
        endpoints: [{ endpoint: 'default', lastVerifiedAt: clock.now() }],
        queued: { fetch: 1, hand_over: 0 },
        paused: false,
      })
      expect(a!.jobId).toBe('a')
    })

    it('says since when, or until when, the first job of each stage waits', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now()
      for (const id of ['a', 'b', 'c']) await inbox.accept(delivery(id, { at, endpoint: `of-${id}` }))
      const [first, second] = await claimFrom(inbox, 2)
      const saved = progress(first!, { state: 'queued', stage: 'hand_over', dueAt: at + 5_000 })
      await inbox.settle(first!, saved, attempt('saved'), null)
      const crashed = progress(second!, { state: 'queued', crashes: 2, dueAt: at - 9_000 })
      await inbox.settle(second!, crashed, attempt('retry', null), null)
      expect((await inbox.stats()).oldestDueAt).toEqual({ fetch: at - 9_000, hand_over: at + 5_000 })
    })

    it('lists jobs, newest first, by state', async () => {
      const { inbox } = await openTest()
      for (const id of ['a', 'b', 'c']) await inbox.accept(delivery(id))
      const [a] = await claimFrom(inbox, 1)
      await inbox.settle(a!, dead(a!), attempt('dead', null), null)
      const first = await inbox.list({}, { limit: 2 })
      expect(first.rows.map(({ jobId }) => jobId)).toEqual(['c', 'b'])
      const second = await inbox.list({}, { limit: 2, cursor: first.next! })
      expect(second).toMatchObject({ rows: [{ jobId: 'a' }], next: null })
      const dead1 = await inbox.list({ state: 'dead' }, { limit: 10 })
      expect(dead1).toMatchObject({ rows: [{ jobId: 'a', reason: { code: 'x' } }], next: null })
    })

    it('finds jobs by everything that a filter names', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('invoice-1', { svixId: 'msg_abc', endpoint: 'production' }))
      clock.advance(1_000)
      await inbox.accept(delivery('invoice-2', { status: 'Failed' }))
      await inbox.accept(delivery('invoice-2', { svixId: 'msg_xyz', status: 'Failed' }))
      const one = (await claimFrom(inbox, 2)).find(({ jobId }) => jobId === 'invoice-1')
      await inbox.settle(one!, { ...dead(one!), reason: because('gone', 'Has GONE away') }, attempt(), null)
      const found = async (filter: JobFilter) => (await inbox.list(filter, { limit: 9 })).rows.map((row) => row.jobId)
      for (const filter of [
        { state: 'dead' },
        { jobId: 'invoice-1' },
        { endpoint: 'production' },
        { status: 'Completed' },
        { type: 'Parse' },
        { error: 'gone' },
        { error: 'gone AWAY' },
        { q: 'msg_ab' },
        { q: 'invoice-1' },
        { state: 'dead', q: 'inv', endpoint: 'production' },
      ] as const)
        expect(await found(filter), JSON.stringify(filter)).toEqual(['invoice-1'])
      expect(await found({ q: 'msg_xy' })).toEqual(['invoice-2'])
      expect(await found({ q: 'inv' })).toEqual(['invoice-2', 'invoice-1'])
      expect(await found({ since: clock.now() })).toHaveLength(2)
      expect(await found({ since: clock.now() + 1 })).toEqual([])
      for (const filter of [{ error: "'" }, { q: '%' }, { state: 'dead', endpoint: 'x' }] as const)
        expect(await found(filter)).toEqual([])
    })

    it('walks far in bounded steps, and says how far it got', async () => {
      const { inbox } = await openTest()
      await Promise.all(Array.from({ length: 9_000 }, (_, index) => inbox.accept(delivery(`job-${index}`))))
      await inbox.accept(delivery('wanted'))
      let cursor: string | undefined
      let rows = 0
      do {
        const page = await inbox.list({ q: 'msg_' }, { limit: 1_000_000, ...(cursor ? { cursor } : {}) })
        rows += page.rows.length
        cursor = page.next ?? undefined
        expect(page.searchedTo === null).toBe(page.next === null)
      } while (cursor)
      expect(rows).toBe(9_001)
    })

    it('keeps one key for links, over restarts', async () => {
      const test = await openTest()
      const key = await test.inbox.linkKey()
      expect(key).toHaveLength(32)
      expect(await test.inbox.linkKey()).toEqual(key)
      await test.inbox.close()
      expect(await (await test.open()).inbox.linkKey()).toEqual(key)
    })

    it('claims nothing while paused, accepts all the same, and stays paused over a restart', async () => {
      const test = await openTest()
      await test.inbox.pause(true)
      await test.inbox.accept(delivery('a'))
      expect(await claimFrom(test.inbox, 1)).toEqual([])
      await test.inbox.close()
      const { inbox } = await test.open()
      expect((await inbox.stats()).paused).toBe(true)
      expect(await claimFrom(inbox, 1)).toEqual([])
      await inbox.pause(false)
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })
  })
}
