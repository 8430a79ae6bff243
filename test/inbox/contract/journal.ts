import { describe, expect, it } from 'vitest'
import type { Inbox, NewAction } from '../../../src/inbox/inbox.ts'
import { delivery } from '../../support/service.ts'
import { attempt, because, claimFrom, DAY, done, type InboxTest, progress } from './support.ts'

const HOUR = 3_600_000
const MINUTE = 60_000

const action = (more: Partial<NewAction> = {}): NewAction => ({
  ...{ who: 'cli:ada', role: 'cli', what: 'retry', filter: { state: 'dead' }, count: 1, ids: ['a'] },
  ...more,
})

/** Accepts these jobs at `endpoint`, and lets each die of `message`. */
async function die(inbox: Inbox, ids: readonly string[], message: string, endpoint = 'default'): Promise<void> {
  for (const id of ids) await inbox.accept(delivery(id, { endpoint }))
  for (const claim of await claimFrom(inbox, ids.length)) {
    const reason = because('http_500', message.replace('ID', claim.jobId))
    await inbox.settle(claim, progress(claim, { state: 'dead', reason }), attempt('dead', null), null)
  }
}

export function journalContract(name: string, openTest: () => Promise<InboxTest>): void {
  describe(`${name}: causes`, () => {
    it('are what dead jobs have in common, the newest death first', async () => {
      const { inbox, clock } = await openTest()
      const first = clock.now()
      await die(inbox, ['a1', 'b1'], 'job ID failed')
      clock.advance(1_000)
      await die(inbox, ['c1'], 'out of luck', 'dev')
      clock.advance(1_000)
      await die(inbox, ['d1'], 'job ID failed', 'dev')
      expect(await inbox.causes()).toEqual([
        {
          ...{ cause: 'http_500: job # failed', code: 'http_500', jobs: 3, types: [], endpoints: ['default', 'dev'] },
          ...{ firstAt: first, lastAt: clock.now(), sample: 'd1', soonestCreatedAt: first },
        },
        {
          ...{ cause: 'http_500: out of luck', code: 'http_500', jobs: 1, types: [], endpoints: ['dev'] },
          ...{ firstAt: first + 1_000, lastAt: first + 1_000, sample: 'c1', soonestCreatedAt: first + 1_000 },
        },
      ])
      const { rows } = await inbox.list({ cause: 'http_500: job # failed' }, { limit: 9 })
      expect(rows.map(({ jobId }) => jobId)).toEqual(['d1', 'b1', 'a1'])
    })

    it('end with the death, and say when Reducto has no result any more', async () => {
      const { inbox, clock } = await openTest()
      await die(inbox, ['a1', 'b1'], 'job ID failed')
      const [{ cause } = { cause: '' }] = await inbox.causes()
      expect(await inbox.requeue({ cause, jobId: 'a1' })).toBe(1)
      expect(await inbox.causes()).toMatchObject([{ jobs: 1, sample: 'b1' }])
      expect((await inbox.list({ cause }, { limit: 9 })).rows).toMatchObject([{ jobId: 'b1' }])
      clock.advance(25 * HOUR)
      expect(await inbox.causes()).toMatchObject([{ jobs: 1, soonestCreatedAt: null }])
      expect(await inbox.erase('b1')).toBe('erased')
      expect(await inbox.causes()).toEqual([])
    })
  })

  describe(`${name}: results at risk`, () => {
    it('are those that are not fetched yet, running, or dead while Reducto may have them', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now()
      await die(inbox, ['dead1'], 'failed')
      for (const id of ['saved', 'done', 'running']) await inbox.accept(delivery(id, { at: clock.now() }))
      for (const claim of await claimFrom(inbox, 3)) {
        const isSaved = claim.jobId === 'saved'
        const next = isSaved ? progress(claim, { state: 'queued', stage: 'hand_over' }) : done(claim)
        if (claim.jobId !== 'running') await inbox.settle(claim, next, attempt(isSaved ? 'saved' : 'done'), null)
      }
      await inbox.accept(delivery('queued', { at: clock.now() }))
      const risk = await inbox.atRisk()
      expect(risk.jobs).toBe(3)
      expect(risk.soonest.map(({ jobId }) => jobId)).toEqual(['dead1', 'running', 'queued'])
      expect(risk.soonest[2]).toEqual({ jobId: 'queued', createdAt: at, receivedAt: at })
      expect((await inbox.stats()).queued).toEqual({ fetch: 1, hand_over: 1 })
      clock.advance(13 * HOUR)
      // About twelve hours: what is late may still be there.
      expect((await inbox.atRisk()).jobs).toBe(3)
      clock.advance(12 * HOUR)
      expect((await inbox.atRisk()).jobs).toBe(2)
    })

    it('are counted all, and named as far as ten go', async () => {
      const { inbox } = await openTest()
      for (let index = 0; index < 14; index++)
        await inbox.accept(delivery(`job-${index}`, { endpoint: index % 2 === 0 ? 'default' : 'dev' }))
      const { jobs, soonest } = await inbox.atRisk()
      expect([jobs, soonest.map(({ jobId }) => jobId)]).toEqual([
        14,
        Array.from({ length: 10 }, (_, index) => `job-${index}`),
      ])
    })
  })

  describe(`${name}: actions`, () => {
    it('are kept with who, what and which, and paged', async () => {
      const { inbox, clock, open } = await openTest()
      const at = clock.now()
      const first = await inbox.note(action())
      clock.advance(5)
      const many = Array.from({ length: 1_200 }, (_, index) => `job-${index}`)
      const second = await inbox.note(action({ what: 'erase', filter: null, count: 1_200, ids: many }))
      expect(second).toBeGreaterThan(first)
      await inbox.close()
      const again = (await open()).inbox
      const page = await again.actions({ limit: 1 })
      expect(page.rows).toEqual([
        {
          ...action({ what: 'erase', filter: null, count: 1_200, ids: many.slice(0, 1_000) }),
          seq: second,
          at: at + 5,
        },
      ])
      const rest = await again.actions({ limit: 9, cursor: page.next! })
      expect(rest).toEqual({ rows: [{ ...action(), seq: first, at }], next: null, searchedTo: null })
    })

    it('show with the jobs that they queued, erased, or announced anew', async () => {
      const { inbox, clock } = await openTest()
      await die(inbox, ['a', 'b'], 'failed')
      const at = clock.now()
      const retry = await inbox.note(action())
      expect(await inbox.requeue({ jobIds: ['a'] }, { action: retry })).toBe(1)
      const by = { at, who: 'cli:ada', role: 'cli' }
      expect(await inbox.get('a')).toMatchObject({
        ...{ round: 2, queuedAt: at },
        actions: [{ ...by, what: 'retry', round: 2 }],
      })
      expect(await inbox.get('b')).toMatchObject({ round: 1, actions: [] })
      const erase = await inbox.note(action({ what: 'erase' }))
      await inbox.erase('a', erase)
      expect((await inbox.get('a'))!.actions.map(({ what }) => what)).toEqual(['erase', 'retry'])
      const ping = { ...delivery('', { at }), content: { is: 'ignored' } } as const
      await inbox.accept(ping)
      const reread = await inbox.note(action({ what: 'retry_deliveries' }))
      await inbox.reread(ping.svixId, { is: 'job', jobId: 'new', status: 'Completed' }, reread)
      expect((await inbox.get('new'))!.actions).toEqual([{ ...by, what: 'retry_deliveries', round: 1 }])
    })

    it('go after their time, and numbers are not given again', async () => {
      const { inbox, clock } = await openTest()
      await die(inbox, ['a'], 'failed')
      const first = await inbox.note(action())
      await inbox.requeue({ jobIds: ['a'] }, { action: first })
      clock.advance(101 * DAY)
      expect(await inbox.prune(clock.now() - 100 * DAY)).toBe(1)
      expect((await inbox.actions({ limit: 9 })).rows).toEqual([])
      expect((await inbox.get('a'))!.queuedAt).toBe(clock.now() - 101 * DAY)
      expect(await inbox.note(action())).toBeGreaterThan(first)
    })
  })

  describe(`${name}: minutes`, () => {
    it('add up, over several writers and a restart', async () => {
      const { inbox, clock, open } = await openTest()
      const at = clock.now() - (clock.now() % MINUTE)
      await inbox.count([
        { at: at - MINUTE, counts: { accepted: 2 } },
        { at, counts: { accepted: 1, dead: 3 } },
      ])
      await inbox.close()
      const again = (await open()).inbox
      await again.count([{ at, counts: { accepted: 4 } }])
      expect(await again.minutes(at - HOUR, at + MINUTE)).toEqual([
        { at: at - MINUTE, ms: MINUTE, counts: { accepted: 2 } },
        { at, ms: MINUTE, counts: { accepted: 5, dead: 3 } },
      ])
      expect(await again.minutes(at, at)).toEqual([])
    })

    it('are minutes for a day, else hours; minutes go after eight days, hours after ninety', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now() - (clock.now() % HOUR)
      await inbox.count([{ at: at + 5 * MINUTE, counts: { done: 1 } }])
      await inbox.count([{ at: at + 6 * MINUTE, counts: { done: 2 } }])
      const byHour = [{ at, ms: HOUR, counts: { done: 3 } }]
      expect(await inbox.minutes(at - 2 * DAY, at + HOUR)).toEqual(byHour)
      expect(await inbox.minutes(at, at + HOUR)).toHaveLength(2)
      clock.advance(8 * DAY + 2 * HOUR)
      await inbox.prune(0)
      expect(await inbox.minutes(at, at + HOUR)).toEqual(byHour)
      clock.advance(83 * DAY)
      await inbox.prune(0)
      expect(await inbox.minutes(at - DAY, at + 2 * DAY)).toEqual([])
    })

    it('say why requests were refused in the last day, and when last', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now() - (clock.now() % MINUTE)
      await inbox.count([
        { at: at - 25 * HOUR, counts: { 'refused:no_match': 9 } },
        { at: at - HOUR, counts: { 'refused:no_match': 2, 'refused:timeout': 1, accepted: 5 } },
        { at, counts: { 'refused:no_match': 1 } },
      ])
      expect(await inbox.refusals(0)).toEqual([
        { reason: 'no_match', count: 3, lastAt: at },
        { reason: 'timeout', count: 1, lastAt: at - HOUR },
      ])
      expect(await inbox.refusals(at)).toEqual([{ reason: 'no_match', count: 1, lastAt: at }])
    })
  })

  describe(`${name}: endpoints and attempts`, () => {
    it('keep when each had its last verified delivery', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now()
      await inbox.accept(delivery('a', { endpoint: 'dev', at }))
      await inbox.accept({ ...delivery('b', { at: at + 1 }), content: { is: 'ignored' } })
      await inbox.accept(delivery('a', { endpoint: 'dev', at: at + 2 }))
      expect((await inbox.stats()).endpoints).toEqual([
        { endpoint: 'default', lastVerifiedAt: at + 1 },
        { endpoint: 'dev', lastVerifiedAt: at + 2 },
      ])
      expect((await inbox.stats()).lastVerifiedAt).toBe(at + 2)
    })

    it('keep what an attempt did, as far as it is known', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('a'))
      const [claim] = await claimFrom(inbox, 1)
      const work = { round: 1, calls: 2, files: 3, bytes: 4, fetchMs: 5.4, saveMs: 6 }
      await inbox.settle(claim!, done(claim!), { ...attempt(), ...work }, null)
      expect((await inbox.get('a'))!.attempts).toEqual([{ ...attempt(), ...work, fetchMs: 5, handOverMs: null }])
    })
  })
}
