import pino from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { JobDetail } from '../../src/inbox/inbox.ts'
import type { Expiry } from '../../src/results/results.ts'
import { FIRST_SWEEP, SWEEP_EVERY, startSweeps } from '../../src/worker/sweep.ts'
import { createManualClock } from '../support/manual-clock.ts'

it('forgets what has outlived its retention, every hour, and goes on after an error', async () => {
  const clock = createManualClock()
  const forget = vi.fn(async () => 1)
  const expire = vi.fn(async (_expiry: Expiry) => 1).mockRejectedValueOnce(new Error('disk trouble'))
  const stop = startSweeps({
    inbox: { forget, get: async (jobId) => (jobId === 'waiting' ? ({ state: 'queued' } as JobDetail) : null) },
    results: { expire },
    clock,
    log: pino({ level: 'silent' }),
    retention: 100,
    resultsRetention: 50,
  })
  onTestFinished(stop)
  for (let hour = 1; hour <= 2; hour++) {
    const pause = hour === 1 ? FIRST_SWEEP : SWEEP_EVERY
    await clock.sleeping(pause)
    clock.advance(pause)
    await vi.waitFor(() => expect(expire).toHaveBeenCalledTimes(hour))
    expect(forget).toHaveBeenLastCalledWith(clock.now() - 100, expect.any(AbortSignal))
    const [{ before, keep, signal }] = expire.mock.lastCall!
    expect({ before, signal }).toEqual({ before: clock.now() - 50, signal: expect.any(AbortSignal) })
    // What is still to be handed over is kept, however old it is.
    expect(await keep!('waiting')).toBe(true)
    expect(await keep!('forgotten')).toBe(false)
  }
})
