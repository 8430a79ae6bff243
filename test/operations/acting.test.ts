import { describe, expect, it } from 'vitest'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { rereadDeliveries } from '../../src/operations/deliveries.ts'
import { eraseJobs } from '../../src/operations/erase.ts'
import { pauseWork, resumeWork } from '../../src/operations/pause.ts'
import { replayJobs } from '../../src/operations/replay.ts'
import { retryJobs } from '../../src/operations/retry.ts'
import { contentOf } from '../../src/receive/parse.ts'
import { attempt, claimFrom, dead, done } from '../inbox/contract/support.ts'
import { recordOf } from '../results/saved.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery } from '../support/service.ts'
import { acting } from './support.ts'

const signal = new AbortController().signal

async function rig(actor = { who: 'grace', role: 'write' } as const) {
  const clock = createManualClock()
  const ledger = openMemory({ clock })
  for (const id of ['dead-1', 'dead-2', 'done-1'])
    await ledger.accept(delivery(id, { metadata: { person: id.startsWith('dead') ? 'Ada' : 'Bo' } }))
  for (const claim of await claimFrom(ledger, 3)) {
    const ends = claim.jobId === 'done-1' ? done(claim) : dead(claim)
    await ledger.settle(claim, ends, attempt('x', claim.jobId === 'done-1' ? 'Completed' : null), null)
  }
  const results = { record: async (jobId: string) => recordOf(jobId, {}), remove: async () => {} }
  return { ledger, clock, results, contentOf, now: clock.now, ...acting(actor) }
}

describe('what an operator does is noted before it is done', () => {
  it('and what somebody queued again while others were erased is left alone', async () => {
    const on = await rig()
    on.clock.advance(1_000)
    let removed = 0
    const remove = async () => {
      // During the first removal, the second job is retried from elsewhere.
      if (removed++ > 0) return
      on.clock.advance(1_000)
      await on.ledger.requeue({ jobId: 'dead-1' })
    }
    const done = await eraseJobs({ ...on, results: { remove } }, { filter: { state: 'dead' } }, signal)
    expect(done).toMatchObject({ jobs: 1, skipped: [{ id: 'dead-1', why: expect.stringContaining('changed') }] })
    expect((await on.ledger.get('dead-1'))!.state).toBe('queued')
  })

  it('without the words by which a person was looked for: the log outlives what is erased', async () => {
    const on = await rig()
    await retryJobs(on, { filter: { q: 'Ada' } })
    await retryJobs(on, { filter: { state: 'done', error: 'no customer Ada', metadata: { person: 'Bo' } } })
    await retryJobs(on, { filter: { state: 'done', metadata: { person: 'Bo' } } })
    const { rows } = await on.ledger.actions({ limit: 9 })
    expect(rows).toMatchObject([
      { filter: { state: 'done', metadata: { person: '…' } }, ids: ['done-1'] },
      { filter: { state: 'dead', q: '…' } },
    ])
    expect(JSON.stringify(rows)).not.toMatch(/Ada|Bo/)
  })

  it('each with who, what and which, and told', async () => {
    const on = await rig()
    await retryJobs(on, { filter: { code: 'x' } })
    await replayJobs({ ...on, hasHandler: true }, { ids: ['done-1'] }, signal)
    await pauseWork(on, 'upgrade')
    await resumeWork(on)
    await on.ledger.accept({ ...delivery('late'), svixId: 'msg_late', content: { is: 'ignored' } })
    await rereadDeliveries(on, { ids: ['msg_late'] })
    await eraseJobs(on, { ids: ['dead-1'] }, signal)
    const by = { who: 'grace', role: 'write' }
    expect((await on.ledger.actions({ limit: 9 })).rows).toMatchObject([
      { ...by, what: 'erase', filter: null, count: 1, ids: ['dead-1'] },
      { ...by, what: 'retry_deliveries', ids: ['msg_late'] },
      { ...by, what: 'resume', count: 0, ids: [] },
      { ...by, what: 'pause', filter: { reason: 'upgrade' } },
      { ...by, what: 'replay', ids: ['done-1'] },
      { ...by, what: 'retry', filter: { state: 'dead', code: 'x' }, count: 2, ids: ['dead-2', 'dead-1'] },
    ])
    expect(on.told.map(({ action, jobs }) => [action, jobs])).toEqual([
      ['retry', 2],
      ['replay', 1],
      ['pause', 0],
      ['resume', 0],
      ['retry_deliveries', 1],
      ['erase', 1],
    ])
    expect((await on.ledger.get('dead-1'))!.actions.map(({ what }) => what)).toEqual(['erase', 'retry'])
    expect((await on.ledger.get('late'))!.actions).toMatchObject([{ ...by, what: 'retry_deliveries' }])
  })

  it('and not what does nothing: a dry run, a refusal, or nothing that matches', async () => {
    const on = await rig()
    await retryJobs(on, { filter: {}, dryRun: true })
    await retryJobs(on, { filter: {}, expect: 1 })
    await retryJobs(on, { filter: { code: 'other' } })
    await eraseJobs(on, { filter: { metadata: { person: 'Ada' } }, dryRun: true }, signal)
    expect((await on.ledger.actions({ limit: 9 })).rows).toEqual([])
    expect(on.told).toEqual([])
  })

  it('a replay by cause is for the dead of that cause', async () => {
    const on = await rig()
    const [{ cause } = { cause: '' }] = await on.ledger.causes()
    const replayed = await replayJobs({ ...on, hasHandler: true }, { filter: { cause }, dryRun: true }, signal)
    expect(replayed).toMatchObject({ is: 'done', named: [{ state: 'dead' }, { state: 'dead' }] })
  })

  it('and is not done when it cannot be noted', async () => {
    const on = await rig()
    const ledger = { ...on.ledger, note: () => Promise.reject(new Error('disk full')) }
    await expect(retryJobs({ ...on, ledger }, { filter: {} })).rejects.toThrow('disk full')
    await expect(pauseWork({ ...on, ledger }, null)).rejects.toThrow('disk full')
    expect(await on.ledger.stats()).toMatchObject({ jobs: { dead: 2 }, paused: false })
  })

  it('without what may be a person’s: the log outlives what is erased', async () => {
    const on = await rig()
    await retryJobs(on, { filter: { q: 'dead-1' } })
    await retryJobs(on, { filter: { error: 'bad', metadata: { person: 'Ada' } } })
    const { rows } = await on.ledger.actions({ limit: 9 })
    expect(rows.map(({ filter }) => filter)).toContainEqual(expect.objectContaining({ q: '…' }))
    expect(JSON.stringify(rows.map(({ filter }) => filter))).not.toMatch(/Ada|dead-1|bad/)
  })

  it('by a name that is text of one line, and no longer than that', async () => {
    const on = await rig({ who: `\u001b[31mEve\n${'x'.repeat(500)}`, role: 'write' } as never)
    await pauseWork(on, null)
    const [{ who } = { who: '' }] = (await on.ledger.actions({ limit: 1 })).rows
    expect(who).toMatch(/^Eve x{96}$/)
  })
})

describe('erasing all of a person', () => {
  const odd = (svixId: string, body: string, is: 'ignored' | 'rejected' = 'ignored') => ({
    ...{ svixId, endpoint: 'default', receivedAt: 0, body },
    content: is === 'ignored' ? ({ is } as const) : ({ is, reason: 'odd' } as const),
  })

  it('takes jobs of any state, and what came and was not understood', async () => {
    const on = await rig()
    await on.ledger.accept(odd('msg_1', '{"metadata":{"person":"Ada"}}'))
    await on.ledger.accept(odd('msg_2', '{"job_id":7,"x":[{"person":"Ada"}]}', 'rejected'))
    await on.ledger.accept(odd('msg_3', '{"person":"Ada","cut off', 'rejected'))
    await on.ledger.accept(odd('msg_4', '{"metadata":{"person":"Bo"}}'))
    const bulk = { filter: { metadata: { person: 'Ada' } } }
    const would = await eraseJobs(on, { ...bulk, dryRun: true }, signal)
    expect(would).toMatchObject({ jobs: 2, deliveries: 3 })
    expect(await eraseJobs(on, bulk, signal)).toMatchObject({ jobs: 2, deliveries: 3 })
    const bodies = ['msg_1', 'msg_2', 'msg_3', 'msg_4'].map(async (id) => (await on.ledger.delivery(id))!.body)
    expect(await Promise.all(bodies)).toEqual([null, null, null, expect.stringContaining('Bo')])
    expect(await on.ledger.bodies(['dead-1', 'dead-2', 'done-1'])).toEqual([null, null, expect.any(String)])
    // The log of actions does not keep what was erased.
    expect(JSON.stringify(await on.ledger.actions({ limit: 9 }))).not.toContain('Ada')
    expect(await eraseJobs(on, bulk, signal)).toMatchObject({ jobs: 0, deliveries: 0 })
  })

  it('is never for more than was counted, deliveries too', async () => {
    const on = await rig()
    await on.ledger.accept(odd('msg_1', '{"metadata":{"person":"Ada"}}'))
    const bulk = { filter: { metadata: { person: 'Ada' } } }
    expect(await eraseJobs(on, { ...bulk, expect: 2 }, signal)).toEqual({
      ...{ is: 'refused', code: 'changed', count: 3 },
      message:
        '2 jobs and 1 deliveries without a job match, not 2 in all: look at them again with a dry run; nothing was done',
    })
    expect(on.told).toEqual([])
    expect(await on.ledger.bodies(['dead-1', 'dead-2'])).toEqual([expect.any(String), expect.any(String)])
    expect(await eraseJobs(on, { ...bulk, expect: 3 }, signal)).toMatchObject({ jobs: 2, deliveries: 1 })
  })

  it('leaves deliveries alone where the filter is for jobs of one state', async () => {
    const on = await rig()
    await on.ledger.accept(odd('msg_1', '{"metadata":{"person":"Ada"}}'))
    const bulk = { filter: { metadata: { person: 'Ada' }, state: 'dead' } } as const
    expect(await eraseJobs(on, bulk, signal)).toMatchObject({ jobs: 2, deliveries: 0 })
  })
})
