import pino from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import { FIRST_SWEEP, SWEEP_EVERY, startSweeps } from '../../src/worker/sweep.ts'
import { createManualClock } from '../support/manual-clock.ts'

it('forgets what has outlived its retention, every hour, and goes on after an error', async () => {
  const clock = createManualClock()
  const forget = vi.fn(async () => 1)
  const expire = vi.fn(async () => 1).mockRejectedValueOnce(new Error('disk trouble'))
  const stop = startSweeps({
    inbox: { forget },
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
    expect(expire).toHaveBeenLastCalledWith(clock.now() - 50, expect.any(AbortSignal))
  }
})
