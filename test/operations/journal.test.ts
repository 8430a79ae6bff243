import { describe, expect, it } from 'vitest'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { countsBetween, describeAtRisk, listActions, listCauses, refusedLately } from '../../src/operations/journal.ts'
import { purgeAt } from '../../src/purge.ts'
import { attempt, claimFrom, dead } from '../inbox/contract/support.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery } from '../support/service.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

function rig() {
  const clock = createManualClock()
  return { ledger: openMemory({ clock }), clock, now: clock.now }
}

async function act(on: ReturnType<typeof rig>, count: number, ids = 1): Promise<void> {
  const named = Array.from({ length: ids }, (_, index) => `job-${index}`)
  for (let index = 0; index < count; index++)
    await on.ledger.note({ who: `op-${index}`, role: 'write', what: 'retry', filter: null, count: ids, ids: named })
}

/** All pages. */
async function all(on: ReturnType<typeof rig>, limit: number) {
  const pages: Awaited<ReturnType<typeof listActions>>[] = []
  let cursor: string | undefined
  do {
    const page = await listActions(on, { limit, cursor })
    pages.push(page)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return pages
}

describe('a list of actions', () => {
  it('has as many as were asked for, over several requests, each once', async () => {
    const on = rig()
    await act(on, 70)
    const pages = await all(on, 45)
    expect(pages.map(({ rows }) => rows.length)).toEqual([45, 25])
    expect(pages.flatMap(({ rows }) => rows.map(({ who }) => who))).toEqual(
      Array.from({ length: 70 }, (_, index) => `op-${69 - index}`),
    )
    expect(pages[1]).toMatchObject({ next: null, searchedTo: null })
  })

  it('is cut where its actions name very many jobs, and goes on there', async () => {
    const on = rig()
    await act(on, 12, 1_000)
    const pages = await all(on, 50)
    expect(pages.map(({ rows }) => rows.length)).toEqual([5, 5, 2])
    expect(pages[0]!.searchedTo).toBe(on.now())
    expect(new Set(pages.flatMap(({ rows }) => rows.map(({ seq }) => seq))).size).toBe(12)
  })

  it('has one where there is one', async () => {
    const on = rig()
    expect(await listActions(on, { limit: 1 })).toEqual({ rows: [], next: null, searchedTo: null })
    await act(on, 1, 1_000)
    expect(await listActions(on, { limit: 1 })).toMatchObject({ rows: [{ who: 'op-0' }], next: null })
  })
})

describe('causes', () => {
  it('say when older ones may be left out', async () => {
    const cause = (lastAt: number) => ({ cause: `x: ${lastAt}`, lastAt }) as never
    const ledger = (count: number) => ({
      causes: async () => Array.from({ length: count }, (_, index) => cause(1_000 - index)),
    })
    expect((await listCauses({ ledger: ledger(199) })).searchedTo).toBeNull()
    expect((await listCauses({ ledger: ledger(200) })).searchedTo).toBe(801)
  })

  it('find their jobs whatever a cut leaves of the message', async () => {
    const on = rig()
    for (const id of ['a', 'b']) await on.ledger.accept(delivery(id))
    const messages: Record<string, string> = { a: '', b: `${'x'.repeat(157)}  y z` }
    for (const claim of await claimFrom(on.ledger, 2)) {
      const reason = { code: 'c', message: messages[claim.jobId]! } as never
      await on.ledger.settle(claim, { ...dead(claim), reason }, attempt('dead', null), null)
    }
    const { causes } = await listCauses(on)
    expect(causes).toHaveLength(2)
    for (const { cause, sample } of causes) {
      expect(cause).toBe(cause.trim())
      expect((await on.ledger.list({ cause }, { limit: 9 })).rows).toMatchObject([{ jobId: sample }])
    }
  })
})

describe('what was counted', () => {
  it('is told by the minute or the hour, and from when on', async () => {
    const on = rig()
    on.clock.advance(200 * DAY)
    const now = on.now()
    await on.ledger.count([{ at: now - (now % MINUTE), counts: { accepted: 2 } }])
    const near = await countsBetween(on, now - HOUR, now + 1)
    expect(near).toMatchObject({ minutes: [{ counts: { accepted: 2 } }], ms: MINUTE, searchedTo: null })
    const far = await countsBetween(on, now - 100 * DAY, now + HOUR)
    expect(far).toMatchObject({ minutes: [{ counts: { accepted: 2 } }], ms: HOUR })
    expect(far.searchedTo).toBeGreaterThanOrEqual(now - 90 * DAY - HOUR)
    // A day of long ago: the minutes are forgotten, and so are the hours.
    const gone = await countsBetween(on, now - 150 * DAY, now - 149 * DAY)
    expect(gone).toMatchObject({ minutes: [], ms: HOUR, searchedTo: now - 90 * DAY })
  })

  it('refusals are those of a day', async () => {
    const on = rig()
    on.clock.advance(3 * DAY)
    const minute = on.now() - (on.now() % MINUTE)
    await on.ledger.count([
      { at: minute - 2 * DAY, counts: { 'refused:no_match': 5 } },
      { at: minute - HOUR, counts: { 'refused:no_match': 3, accepted: 9 } },
    ])
    expect(await refusedLately(on)).toEqual({
      refusals: [{ reason: 'no_match', count: 3, lastAt: minute - HOUR }],
      since: on.now() - DAY,
    })
  })
})

describe('results at risk', () => {
  it('name the one that Reducto deletes next', () => {
    const job = (jobId: string, receivedAt: number) => ({ jobId, createdAt: 0, receivedAt })
    expect(describeAtRisk({ jobs: 2, soonest: [job('b', 20), job('a', 10)] })).toEqual({
      jobs: 2,
      next: { jobId: 'a', purgeAt: purgeAt(10) },
    })
    expect(describeAtRisk({ jobs: 0, soonest: [] })).toEqual({ jobs: 0, next: null })
  })
})
