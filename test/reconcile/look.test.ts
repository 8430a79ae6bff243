import { describe, expect, it } from 'vitest'
import { OVERDUE_AFTER_MS } from '../../src/inbox/expected.ts'
import { createLook, MAX_CALLS } from '../../src/reconcile/look.ts'
import { delivery } from '../support/service.ts'
import { HOUR, MINUTE, reconcileRig } from './rig.ts'

async function rig() {
  const parts = await reconcileRig()
  const look = createLook({ ...parts, ledger: parts.inbox })
  return { ...parts, look: () => look(new AbortController().signal) }
}

const OVERDUE = OVERDUE_AFTER_MS + 1

describe('a look after overdue jobs', () => {
  it('queues what ended without a webhook, and leaves alone what is not overdue', async () => {
    const { look, submit, clock, events, stateOf } = await rig()
    const told: unknown[] = []
    events.on('missed', (missed) => told.push(missed))
    await submit('completed', 'Completed')
    await submit('failed', 'Failed')
    await submit('pending')
    clock.advance(OVERDUE)
    await submit('young', 'Completed')
    expect(await look()).toMatchObject({
      ...{ overdue: 3, asked: 3, stopped: null },
      missed: [
        { jobId: 'completed', status: 'Completed' },
        { jobId: 'failed', status: 'Failed' },
      ],
    })
    expect(told).toHaveLength(2)
    expect(await Promise.all(['completed', 'failed', 'pending', 'young'].map(stateOf))).toEqual([
      ...['queued', 'queued', 'expected', 'expected'],
    ])
  })

  it.each(['Idle', 'InProgress', 'Completing', 'SomethingNew'])('takes %s for still processing', async (status) => {
    const { look, submit, clock, reducto, stateOf } = await rig()
    await submit('job-1')
    reducto.fail('job-1', { is: 'unfinished', status })
    clock.advance(OVERDUE)
    expect(await look()).toMatchObject({ asked: 1, missed: [] })
    expect(await stateOf('job-1')).toBe('expected')
  })

  it('queues a job that Reducto does not know, for the worker to confirm and to tell by name', async () => {
    const { look, submit, clock, reducto, inbox } = await rig()
    reducto.purge(await submit('job-1'))
    clock.advance(OVERDUE)
    expect(await look()).toMatchObject({ missed: [{ jobId: 'job-1', status: null }] })
    expect(await inbox.get('job-1')).toMatchObject({ state: 'queued', status: null })
  })

  it('asks about a job that is still processing again after half of its age, and no sooner', async () => {
    const { look, submit, clock, reducto } = await rig()
    await submit('job-1')
    clock.advance(HOUR)
    await look()
    clock.advance(29 * MINUTE)
    expect(await look()).toMatchObject({ overdue: 1, asked: 0 })
    clock.advance(2 * MINUTE)
    expect(await look()).toMatchObject({ asked: 1 })
    clock.advance(90 * HOUR)
    await look()
    clock.advance(2 * HOUR + 1)
    reducto.end('job-1')
    expect(await look()).toMatchObject({ missed: [{ jobId: 'job-1' }] })
  })

  it('does not count a job whose delivery came while Reducto was asked', async () => {
    const { submit, clock, inbox, fetchStatus, listJobs, events } = await rig()
    await submit('job-1', 'Completed')
    clock.advance(OVERDUE)
    const late = createLook({
      ...{ ledger: inbox, listJobs, clock, events },
      async fetchStatus(jobId, signal) {
        await inbox.accept(delivery(jobId))
        return fetchStatus(jobId, signal)
      },
    })
    expect(await late(new AbortController().signal)).toMatchObject({ asked: 1, missed: [] })
  })

  it('keeps within its budget, and all jobs get their turn', async () => {
    const { clock, inbox, listJobs, events } = await rig()
    const count = MAX_CALLS + 50
    for (let n = 0; n < count; n++) await inbox.expect(`job-${n}`, { by: 'test' })
    clock.advance(OVERDUE)
    const asked = new Set<string>()
    const look = createLook({
      ...{ ledger: inbox, listJobs, clock, events },
      fetchStatus: async (jobId) => {
        asked.add(jobId)
        return { is: 'processing', status: 'Pending' }
      },
    })
    const { signal } = new AbortController()
    expect(await look(signal)).toMatchObject({ overdue: count, asked: MAX_CALLS, stopped: 'budget' })
    expect(await look(signal)).toMatchObject({ asked: 50, stopped: null })
    expect(asked.size).toBe(count)
  })

  it.each([
    ['the account is refused', { is: 'status', status: 401 }, 'refused', 1],
    ['a proxy refuses it', { is: 'html', status: 403 }, 'refused', 1],
    ['Reducto asks for fewer calls', { is: 'status', status: 429 }, 'slowed', 1],
    ['Reducto answers errors alone', { is: 'status', status: 503 }, 'failing', 3],
    ['answers break off', { is: 'truncate' }, 'failing', 3],
    ['answers name no status', { is: 'body', body: '{"state":"Completed"}' }, 'failing', 3],
    ['a page is answered 404', { is: 'html', status: 404 }, 'failing', 3],
  ] as const)('stops when %s, and queues nothing', async (_, fault, stopped, asked) => {
    const { look, submit, clock, reducto, stateOf } = await rig()
    for (let n = 0; n < 5; n++) await submit(`job-${n}`, 'Completed')
    clock.advance(OVERDUE)
    reducto.setAccountFault(fault)
    expect(await look()).toMatchObject({ asked, missed: [], stopped })
    expect(await stateOf('job-0')).toBe('expected')
    reducto.setAccountFault(null)
    expect((await look()).missed).toHaveLength(5)
  })

  it.each([
    ['a refusal', { is: 'status', status: 403, body: { detail: 'Not your job' } }],
    ['an error', { is: 'status', status: 500, body: { detail: 'Internal error' } }],
    ['an answer without a status', { is: 'body', body: '{"state":"Completed"}' }],
  ] as const)('lets no job that Reducto has only %s for hold up the others', async (_, fault) => {
    const { look, submit, clock, reducto, inbox, stateOf } = await rig()
    for (let n = 0; n < 7; n++) {
      await submit(`broken-${n}`, 'Completed')
      reducto.fail(`broken-${n}`, ...Array.from({ length: 9 }, () => fault))
    }
    await submit('fine', 'Completed')
    clock.advance(OVERDUE)
    expect(await look()).toMatchObject({ missed: [{ jobId: 'fine' }], stopped: null })
    expect(await stateOf('broken-0')).toBe('expected')
    // Then they are the worker's, which names the reason when it gives up.
    for (let n = 0; n < 2; n++) {
      clock.advance(2 * HOUR)
      await look()
    }
    expect(await inbox.get('broken-0')).toMatchObject({ state: 'queued', status: null })
    expect(await stateOf('broken-6')).toBe('queued')
  })

  it('asks in time after the clock was set back', async () => {
    const { look, submit, clock, reducto } = await rig()
    await submit('job-1')
    clock.advance(HOUR)
    await submit('job-2')
    clock.jump(1_000 * HOUR)
    await look()
    clock.jump(-1_000 * HOUR)
    reducto.end('job-1')
    expect(await look()).toMatchObject({ missed: [{ jobId: 'job-1' }] })
  })
})
