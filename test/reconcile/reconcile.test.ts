import { describe, expect, it } from 'vitest'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { exclusivelyAcross } from '../../src/reconcile/exclusively.ts'
import { MAX_CALLS } from '../../src/reconcile/look.ts'
import { likelyCause } from '../../src/reconcile/reconcile.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, event } from '../support/service.ts'
import { HOUR, MINUTE, reconcileRig } from './rig.ts'

describe('the service looks after expected jobs', () => {
  it('at once after a start, then every RECONCILE_EVERY, and tells the likely cause', async () => {
    const { start, submit, clock, events } = await reconcileRig()
    await submit('job-1', 'Completed')
    clock.advance(HOUR)
    const told = event(events, 'missedWebhooks')
    start()
    expect(await told).toMatchObject({ count: 1, jobIds: ['job-1'], cause: expect.stringContaining('ever arrived') })
    await clock.sleeping(15 * MINUTE)
    await submit('job-2', 'Failed')
    const again = event(events, 'missed')
    clock.advance(15 * MINUTE)
    expect(await again).toMatchObject({ jobId: 'job-2', status: 'Failed', ms: 15 * MINUTE })
  })

  it('less often while nothing is missed, and as often as before once something is', async () => {
    const { start, submit, clock, events } = await reconcileRig()
    start()
    for (const pause of [30, 60, 60]) {
      await clock.sleeping(pause * MINUTE)
      clock.advance(pause * MINUTE)
      await clock.untilAsleep(2)
    }
    await submit('job-1', 'Completed')
    const missed = event(events, 'missed')
    clock.advance(HOUR)
    await missed
    await clock.sleeping(15 * MINUTE)
  })

  it('asks nothing while Reducto refuses the account, and nothing when it is off', async () => {
    const { start, submit, clock, reducto } = await reconcileRig()
    await submit('job-1', 'Completed')
    clock.advance(HOUR)
    start({ isRefused: () => true })
    await clock.sleeping(15 * MINUTE)
    expect(reducto.fetches.size).toBe(0)
  })

  it('asks nothing when it is off', async () => {
    const { start, submit, clock, reducto, inbox } = await reconcileRig()
    await submit('job-1', 'Completed')
    clock.advance(HOUR)
    start({ every: null })
    await clock.untilAsleep(1)
    expect(reducto.fetches.size).toBe(0)
    expect(await inbox.looked()).toBeNull()
  })

  it('says what it looks for after a stop of more than 28 hours, and finds it', async () => {
    const { start, submit, clock, events, inbox } = await reconcileRig()
    await inbox.looked()
    await submit('job-1', 'Completed')
    clock.advance(29 * HOUR)
    const [stopped, missed] = [event(events, 'longStop'), event(events, 'missed')]
    start()
    expect(await stopped).toEqual({ ms: 29 * HOUR, since: clock.now() - 29 * HOUR })
    expect(await missed).toMatchObject({ jobId: 'job-1' })
  })

  it('says nothing of the kind after a night', async () => {
    const { start, submit, clock, events, inbox } = await reconcileRig()
    await inbox.looked()
    await submit('job-1', 'Completed')
    clock.advance(10 * HOUR)
    let told = 0
    events.on('longStop', () => told++)
    const missed = event(events, 'missed')
    start()
    await missed
    expect(told).toBe(0)
  })
})

describe('many overdue jobs', () => {
  it('are looked after in turn without a long pause, before Reducto deletes their results', async () => {
    const { start, inbox, clock } = await reconcileRig()
    for (let n = 0; n < MAX_CALLS + 50; n++) await inbox.expect(`job-${n}`, { by: 'test' })
    clock.advance(HOUR)
    start({ fetchStatus: async () => ({ is: 'ended', status: 'Completed' }) })
    await clock.sleeping(20_000)
    expect((await inbox.stats()).jobs).toMatchObject({ queued: MAX_CALLS, expected: 50 })
    clock.advance(20_000)
    await clock.sleeping(15 * MINUTE)
    expect((await inbox.stats()).jobs).toMatchObject({ expected: 0 })
  })
})

describe('silence', () => {
  it('is not told of jobs that Reducto does not know', async () => {
    const { start, inbox, clock, events } = await reconcileRig()
    await inbox.expect('mistyped', { by: 'test' })
    clock.advance(HOUR)
    const told = event(events, 'missedWebhooks')
    const reconcile = start()
    expect(await told).toMatchObject({ cause: expect.stringContaining('are their ids right') })
    expect(reconcile.silence()).toBeNull()
  })

  it('is not told of a pause on the first day, however many deliveries it had', async () => {
    const { start, clock, inbox } = await reconcileRig()
    for (let n = 0; n < 40; n++) {
      await inbox.accept(delivery(`job-${n}`, { at: clock.now() }))
      clock.advance(MINUTE)
    }
    const reconcile = start({ every: null })
    await clock.untilAsleep(1)
    clock.advance(12 * HOUR)
    expect(reconcile.silence()).toBeNull()
  })

  it('is not told of a holiday after a weekend, by a service that was started on it', async () => {
    const { start, clock, inbox } = await reconcileRig()
    // Two weeks of five days, with a delivery in each of ten hours.
    for (let day = 0; day < 12; day++)
      for (let hour = 0; hour < 24; hour++) {
        if (day % 7 < 5 && hour < 10) await inbox.accept(delivery(`job-${day}-${hour}`, { at: clock.now() }))
        clock.advance(HOUR)
      }
    clock.advance(2 * 24 * HOUR)
    // Monday: the last weekend but one ended more than a week ago.
    const reconcile = start({ every: null })
    await clock.untilAsleep(1)
    for (let hour = 0; hour < 24; hour++) {
      clock.advance(HOUR)
      await clock.untilAsleep(1)
      expect([hour, reconcile.silence()]).toEqual([hour, null])
    }
  })

  it('is told of one endpoint among others that are heard, by name', async () => {
    const { start, clock, inbox } = await reconcileRig()
    for (let hour = 0; hour <= 7 * 24; hour++) {
      for (const endpoint of ['default', 'dev'])
        await inbox.accept(delivery(`${endpoint}-${hour}`, { at: clock.now(), endpoint }))
      clock.advance(HOUR)
    }
    const reconcile = start({ every: null })
    await clock.untilAsleep(1)
    for (let hour = 0; hour < 4; hour++) {
      await inbox.accept(delivery(`more-${hour}`, { at: clock.now() }))
      clock.advance(HOUR)
      await clock.untilAsleep(1)
    }
    expect(reconcile.silence()).toMatch(/at the endpoint dev for 300 min/)
  })

  it('is not told of the time that a clock jumped over, and is told after a clock that was ahead', async () => {
    const { start, clock, inbox } = await reconcileRig()
    const hourly = async (name: string, hours: number) => {
      for (let hour = 0; hour < hours; hour++) {
        await inbox.accept(delivery(`${name}-${hour}`, { at: clock.now() }))
        clock.advance(HOUR)
        await clock.untilAsleep(1)
      }
    }
    for (let hour = 0; hour <= 7 * 24; hour++) {
      await inbox.accept(delivery(`job-${hour}`, { at: clock.now() }))
      clock.advance(HOUR)
    }
    const reconcile = start({ every: null })
    await clock.untilAsleep(1)
    clock.jump(48 * HOUR)
    expect(reconcile.silence()).toBeNull()
    await hourly('ahead', 2)
    clock.jump(-48 * HOUR)
    await hourly('right', 2)
    clock.advance(5 * HOUR)
    expect(reconcile.silence()).not.toBeNull()
  })

  it('is told when jobs ended without a webhook and nothing arrives, until something does', async () => {
    const { start, submit, clock, events, inbox } = await reconcileRig()
    await inbox.accept(delivery('earlier', { at: clock.now() }))
    clock.advance(MINUTE)
    await submit('job-1', 'Completed')
    clock.advance(HOUR)
    const told = event(events, 'missedWebhooks')
    const reconcile = start()
    await told
    expect(reconcile.silence()).toContain('1 expected job has ended without a webhook')
    await inbox.accept(delivery('job-2', { at: clock.now() }))
    await clock.sleeping(MINUTE)
    clock.advance(MINUTE)
    await clock.untilAsleep(2)
    expect(reconcile.silence()).toBeNull()
  })

  it('is told when the rhythm of the week before the start has broken', async () => {
    const { start, clock, inbox } = await reconcileRig()
    const begin = clock.now()
    for (let hour = 0; hour <= 7 * 24; hour++) {
      await inbox.accept(delivery(`job-${hour}`, { at: clock.now() }))
      clock.advance(HOUR)
    }
    const reconcile = start({ every: null })
    await clock.untilAsleep(1)
    expect(reconcile.silence()).toBeNull()
    clock.advance(3 * HOUR + 1)
    expect(reconcile.silence()).toContain('more than three times the longest pause of the last week')
    expect(reconcile.silence()).toContain(new Date(begin + 7 * 24 * HOUR).toISOString())
    await inbox.accept(delivery('again', { at: clock.now() }))
    await clock.untilAsleep(1)
    clock.advance(MINUTE)
    await clock.untilAsleep(1)
    expect(reconcile.silence()).toBeNull()
  })

  it('is not told of one webhook that never came among others that do', async () => {
    const { start, submit, clock, events, inbox } = await reconcileRig()
    await submit('job-1', 'Completed')
    clock.advance(HOUR)
    await inbox.accept(delivery('other', { at: clock.now() }))
    const told = event(events, 'missedWebhooks')
    const reconcile = start()
    expect(await told).toMatchObject({ cause: expect.stringContaining('other deliveries arrive') })
    expect(reconcile.silence()).toBeNull()
  })
})

describe('exclusively', () => {
  it('runs work once at a time for each name, and again when it is over, however it ended', async () => {
    const exclusively = exclusivelyAcross(openMemory({ clock: createManualClock() }))
    const first = Promise.withResolvers<string>()
    const running = exclusively('a', () => first.promise)
    expect(await exclusively('a', async () => 'second')).toBeNull()
    expect(await exclusively('b', async () => 'other')).toBe('other')
    first.reject(new Error('failed'))
    await expect(running).rejects.toThrow('failed')
    expect(await exclusively('a', async () => 'third')).toBe('third')
  })
})

describe('the likely cause', () => {
  const ended = (createdAt: number) => ({ jobId: `job-${createdAt}`, status: 'Completed', createdAt })

  it('is the endpoint when nothing came since, and the submission when others come', () => {
    expect(likelyCause([ended(1_000)], null)).toContain('ever arrived')
    expect(likelyCause([ended(1_000)], 500)).toContain('disabled')
    expect(likelyCause([ended(1_000)], 2_000)).toContain('channel')
  })

  it('is the endpoint when the last delivery came while some of the missed ones were still processed', () => {
    expect(likelyCause([ended(1_000), ended(3_000)], 2_000)).toContain('disabled')
  })

  it('is the id or the key when Reducto knows none of them', () => {
    expect(likelyCause([{ ...ended(1_000), status: null }], null)).toContain('are their ids right')
  })
})
