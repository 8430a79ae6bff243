import { describe, expect, it } from 'vitest'
import { createExclusively } from '../../src/reconcile/exclusively.ts'
import { likelyCause } from '../../src/reconcile/reconcile.ts'
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

describe('silence', () => {
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
    const exclusively = createExclusively()
    const first = Promise.withResolvers<string>()
    const running = exclusively('a', () => first.promise)
    expect(await exclusively('a', async () => 'second')).toBeNull()
    expect(await exclusively('b', async () => 'other')).toBe('other')
    first.reject(new Error('failed'))
    await expect(running).rejects.toThrow('failed')
    expect(await exclusively('a', async () => 'third')).toBe('third')
  })
})

it('likelyCause names the endpoint when nothing came since, and the submission when others come', () => {
  expect(likelyCause(1_000, null)).toContain('ever arrived')
  expect(likelyCause(1_000, 500)).toContain('disabled')
  expect(likelyCause(1_000, 2_000)).toContain('channel')
})
