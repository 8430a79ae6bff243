import pino from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createLocalDuties } from '../../src/inbox/fleet.ts'
import type { JobDetail } from '../../src/inbox/inbox.ts'
import type { Expiry } from '../../src/results/results.ts'
import { FIRST_PRUNE_MS, PRUNE_EVERY_MS, startRetention } from '../../src/worker/retention.ts'
import { createManualClock } from '../support/manual-clock.ts'

it('deletes what is past its retention, every hour, and goes on after an error', async () => {
  const clock = createManualClock()
  const prune = vi.fn(async () => 1)
  const expire = vi.fn(async (_expiry: Expiry) => 1).mockRejectedValueOnce(new Error('disk trouble'))
  const retention = startRetention({
    inbox: {
      exclusively: createLocalDuties(),
      prune,
      pruneBodies: async () => 0,
      get: async (jobId) => (jobId === 'waiting' ? ({ state: 'queued' } as JobDetail) : null),
    },
    results: { expire },
    clock,
    log: pino({ level: 'silent' }),
    retention: 100,
    bodyRetention: 100,
    resultsRetention: 50,
  })
  onTestFinished(() => retention.stop())
  for (let hour = 1; hour <= 2; hour++) {
    const pause = hour === 1 ? FIRST_PRUNE_MS : PRUNE_EVERY_MS
    await clock.sleeping(pause)
    clock.advance(pause)
    await vi.waitFor(() => expect(expire).toHaveBeenCalledTimes(hour))
    expect(prune).toHaveBeenLastCalledWith(clock.now() - 100, expect.any(AbortSignal))
    const [{ before, keep, signal }] = expire.mock.lastCall!
    expect({ before, signal }).toEqual({ before: clock.now() - 50, signal: expect.any(AbortSignal) })
    // What is still to be handed over is kept, however old it is.
    expect(await keep!('waiting')).toBe(true)
    expect(await keep!('forgotten')).toBe(false)
  }
})

it('deletes bodies sooner than rows, where that is asked for', async () => {
  const clock = createManualClock()
  const pruneBodies = vi.fn(async () => 1)
  const retention = startRetention({
    inbox: { exclusively: createLocalDuties(), prune: async () => 0, pruneBodies, get: async () => null },
    results: { expire: async () => 0 },
    clock,
    log: pino({ level: 'silent' }),
    retention: 100,
    bodyRetention: 40,
    resultsRetention: null,
  })
  onTestFinished(() => retention.stop())
  await clock.sleeping(FIRST_PRUNE_MS)
  clock.advance(FIRST_PRUNE_MS)
  await vi.waitFor(() => expect(pruneBodies).toHaveBeenCalledWith(clock.now() - 40, expect.any(AbortSignal)))
})

it('deletes nothing while the wall clock disagrees with the monotonic one, and says so', async () => {
  const clock = createManualClock()
  const prune = vi.fn(async () => 0)
  const retention = startRetention({
    inbox: { exclusively: createLocalDuties(), prune, pruneBodies: async () => 0, get: async () => null },
    results: { expire: async () => 0 },
    clock,
    log: pino({ level: 'silent' }),
    retention: 100,
    bodyRetention: 100,
    resultsRetention: null,
  })
  onTestFinished(() => retention.stop())
  await clock.sleeping(FIRST_PRUNE_MS)
  clock.jump(200 * 86_400_000)
  clock.advance(FIRST_PRUNE_MS)
  await clock.sleeping(PRUNE_EVERY_MS)
  expect(prune).not.toHaveBeenCalled()
  expect(retention.isWaitingForClock).toBe(true)
  clock.advance(PRUNE_EVERY_MS)
  await vi.waitFor(() => expect(prune).toHaveBeenCalledTimes(1))
  expect(retention.isWaitingForClock).toBe(false)
})
