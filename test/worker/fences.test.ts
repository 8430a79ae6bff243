import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Claim } from '../../src/inbox/inbox.ts'
import { freshProgress } from '../../src/job.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { delivery, event } from '../support/service.ts'
import { deliver, record, rig, settled, status } from './rig.ts'

/** Claims, settlements and stops: what one worker may still change. */

describe('settling is fenced by the claim', () => {
  it.each([
    ['with its result', {}],
    ['with what it had of one that it gives up', { MAX_RESULT_BYTES: '4kb' }],
  ])('a worker that lost its claim changes neither row nor file, %s', async (_name, env) => {
    const on = await rig(env)
    const jobId = on.reducto.addJob()
    on.results.draft = new Proxy(on.results.draft, {
      async apply(make, self, args: Parameters<typeof on.results.draft>) {
        const draft = await Reflect.apply(make, self, args)
        // Somebody else takes the job over while this one works on it.
        const taken = { jobId, task: 'fetch', token: args[1] } as Claim
        const noted = {
          startedAt: 0,
          ms: 0,
          task: 'fetch',
          outcome: 'dead',
          reason: null,
          savedStatus: null,
          type: null,
        } as const
        await on.inbox.settle(taken, { ...freshProgress('fetch', 0), state: 'dead' }, noted, null)
        return draft
      },
    })
    const fenced = event(on.events, 'claimLost')
    await on.inbox.accept(delivery(jobId))
    expect(await fenced).toEqual({ jobId })
    expect(await on.inbox.get(jobId)).toMatchObject({ state: 'dead' })
    expect(existsSync(join(on.folder, 'results', jobId))).toBe(false)
  })
})

describe('a settlement that the inbox cannot take', () => {
  it('is tried again until it can: the job does not stay running', async () => {
    const on = await rig({}, { store: 'sqlite' })
    const jobId = on.reducto.addJob()
    const { settle } = on.inbox
    on.inbox.settle = () => Promise.reject(new Error('disk full'))
    const stuck = event(on.events, 'failing')
    await on.inbox.accept(delivery(jobId))
    expect(await stuck).toMatchObject({ what: expect.stringContaining('settle') })
    await on.clock.sleeping(1_000)
    on.inbox.settle = settle
    const done = settled(on, jobId)
    on.clock.advance(1_000)
    expect(await done).toMatchObject({ state: 'done' })
    expect(on.reducto.fetches.get(jobId)).toBe(1)
  })
})

describe('trouble with the inbox', () => {
  it('a claim that fails is tried again, also when no delivery comes', async () => {
    const on = await rig()
    const { claim } = on.inbox
    on.inbox.claim = () => Promise.reject(new Error('database is locked'))
    const stuck = event(on.events, 'failing')
    const jobId = on.reducto.addJob()
    await on.inbox.accept(delivery(jobId))
    expect(await stuck).toMatchObject({ what: expect.stringMatching(/^claim for/) })
    await on.clock.sleeping(1_000)
    on.inbox.claim = claim
    const done = settled(on, jobId)
    on.clock.advance(1_000)
    expect(await done).toMatchObject({ state: 'done' })
  })

  it('a Retry-After of fractions of a second can be stored', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, status(503, { headers: { 'retry-after': '2.0101' } }))
    const first = await deliver(on, jobId)
    expect(first.dueAt - on.clock.now()).toBe(2_011)
  })
})

describe('a delivery that contradicts a record of which only the files know', () => {
  it('has the job fetched anew', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    await deliver(on, jobId)
    // As after a death between saving and settling: the job is queued, and its record is there.
    await on.inbox.pause(true)
    await on.inbox.requeue({ jobId })
    await on.inbox.accept(delivery(jobId, { status: 'Failed' }))
    on.reducto.end(jobId, 'Failed')
    const again = settled(on, jobId)
    await on.inbox.pause(false)
    expect(await again).toMatchObject({ state: 'done', calls: 1 })
    expect(record(on, jobId)).toMatchObject({ status: 'Failed' })
  })
})

describe('a stop', () => {
  it('interrupts downloads too, at no cost', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.storage.fail(`${jobId}/figure.png`, 'stall')
    on.reducto.storage.fail(`${jobId}/page.png`, 'stall')
    const stalled = on.reducto.storage.nextDownload(`${jobId}/figure.png`)
    await on.inbox.accept(delivery(jobId))
    await stalled
    const interrupted = settled(on, jobId)
    await on.stop()
    expect(await interrupted).toMatchObject({ state: 'queued', outcome: { is: 'interrupted' } })
  })

  it('interrupts what takes longer than the grace; it stays queued, due at once, at no cost', async () => {
    const on = await rig({}, { store: 'sqlite' })
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, { is: 'stall' })
    const fetching = on.reducto.nextFetch(jobId)
    await on.inbox.accept(delivery(jobId))
    await fetching
    const interrupted = settled(on, jobId)
    await on.stop()
    expect(await interrupted).toMatchObject({ state: 'queued', outcome: { is: 'interrupted' } })
    const events = createEvents()
    const done = event(events, 'settled')
    const after = await rig({}, { reducto: on.reducto, folder: on.folder, events, store: 'sqlite' })
    expect(await done).toMatchObject({ jobId, state: 'done', attempt: 1 })
    const { attempts, failures } = (await after.inbox.get(jobId))!
    expect({ failures, outcomes: attempts.map(({ outcome }) => outcome) }).toEqual({
      failures: 0,
      outcomes: ['done', 'interrupted'],
    })
  })
})
