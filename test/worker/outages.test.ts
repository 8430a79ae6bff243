import { expect, it } from 'vitest'
import { createEvents } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, event, testService } from '../support/service.ts'

/** Long trouble, on a clock that moves when told: everything comes right by itself when the cause is gone. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/**
 * What sleeps in a service that has nothing to do: two loops, retention, the looks for trouble, for overdue jobs, for silence and
 * for other services, and the counts of the minute.
 */
const SLEEPERS = 8

async function rig(env: Record<string, string> = {}, store: 'sqlite' | 'memory' = 'memory') {
  const clock = createManualClock()
  const events = createEvents()
  events.setMaxListeners(0)
  const service = await testService({ clock, events, env, store })
  /** Moves time on in steps, letting every attempt that falls due within one end. */
  async function pass(ms: number, step: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += step) {
      clock.advance(step)
      await idle()
    }
  }

  /** The worker has looked, and has found nothing more to do. */
  async function idle(): Promise<void> {
    for (;;) {
      // Listening comes before looking: else the last one may settle in between.
      const next = event(events, 'settled')
      await Promise.race([clock.untilAsleep(SLEEPERS), next])
      if (clock.asleep < SLEEPERS) continue
      if ((await service.inbox.stats()).jobs.running === 0) return
      await next
    }
  }

  return { ...service, clock, events, pass }
}

it('Reducto down for half a day: every job is fetched when it is back', async () => {
  const on = await rig()
  on.reducto.setAccountFault({ is: 'status', status: 503 })
  const jobs = Array.from({ length: 10 }, () => on.reducto.addJob({ kind: 'classify' }))
  for (const jobId of jobs) await on.inbox.accept(delivery(jobId, { at: on.clock.now() }))
  await on.pass(11 * HOUR + 30 * MINUTE, 10 * MINUTE)
  const { queued, running, done, dead } = (await on.inbox.stats()).jobs
  expect({ open: queued + running, done, dead }).toEqual({ open: 10, done: 0, dead: 0 })
  on.reducto.setAccountFault(null)
  const last = jobs.map((jobId) => event(on.events, 'settled', (one) => one.jobId === jobId && one.state === 'done'))
  await on.pass(20 * MINUTE, 10 * MINUTE)
  await Promise.all(last)
  expect((await on.inbox.stats()).jobs).toMatchObject({ done: 10, dead: 0 })
})

it('a storm of 429s: few calls while it lasts, and every job done after it', async () => {
  const on = await rig({ WORKER_CONCURRENCY: '4' })
  on.reducto.setAccountFault({ is: 'status', status: 429 })
  const jobs = Array.from({ length: 30 }, () => on.reducto.addJob({ kind: 'classify' }))
  let attempts = 0
  on.events.on('settled', () => attempts++)
  for (const jobId of jobs) await on.inbox.accept(delivery(jobId, { at: on.clock.now() }))
  await on.pass(HOUR, MINUTE)
  expect(attempts).toBeGreaterThan(0)
  // Without slowing the worker as a whole it would be each job's own backoff: several hundred.
  expect(attempts).toBeLessThan(150)
  on.reducto.setAccountFault(null)
  const done = jobs.map((jobId) => event(on.events, 'settled', (one) => one.jobId === jobId && one.state === 'done'))
  for (let left = 200; left > 0 && (await on.inbox.stats()).jobs.done < 30; left--) await on.pass(MINUTE, MINUTE)
  await Promise.all(done)
})

it.each([
  ['forwards', 1],
  ['backwards', -1],
])('a clock that jumps %s by a month: jobs go on', async (_name, direction) => {
  const on = await rig({}, 'sqlite')
  const jobId = on.reducto.addJob()
  on.reducto.fail(jobId, { is: 'status', status: 500 })
  const first = event(on.events, 'settled')
  await on.inbox.accept(delivery(jobId, { at: on.clock.now() }))
  expect(await first).toMatchObject({ state: 'queued' })
  on.clock.jump(direction * 30 * 24 * HOUR)
  const done = event(on.events, 'settled', (one) => one.state === 'done')
  await on.clock.sleeping(1_000)
  on.clock.advance(1_000)
  if (direction < 0) {
    await on.clock.sleeping(1_000)
    on.clock.advance(10 * MINUTE)
  }
  expect(await done).toMatchObject({ jobId, attempt: 2 })
})
