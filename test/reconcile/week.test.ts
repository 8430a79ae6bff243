import { expect, it, onTestFinished, vi } from 'vitest'
import { createEvents } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, signed, type TestService, testReducto, testService } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const HOURS = 7 * 24
/** Jobs an hour. */
const JOBS = 3
/** Of so many webhooks one never comes. */
const ONE_LOST_OF = 50
/** The third day, on which the endpoint is disabled. */
const isDisabled = (hour: number) => hour >= 48 && hour < 72
/** The fifth night, in which the service is down. */
const isDown = (hour: number) => hour >= 22 + 96 && hour < 30 + 96

/** One week of a service on a clock that moves when told; the Reducto it asks and the sockets are real. */
async function week() {
  const clock = createManualClock()
  // svix and the simulator's storage read the date of the process.
  vi.useFakeTimers({ toFake: ['Date'], now: clock.now() })
  onTestFinished(() => void vi.useRealTimers())
  function advance(ms: number): void {
    vi.setSystemTime(clock.now() + ms)
    clock.advance(ms)
  }
  const reducto = await testReducto()
  const events = createEvents()
  const [folder, jobs] = [tempFolder(), [] as string[]]
  const purged = new Set<string>()
  const found = { missed: 0, silences: new Set<string>() }
  events.on('missed', () => found.missed++)
  events.on('degraded', ({ name, repeated }) => {
    if (!repeated) found.silences.add(name)
  })
  const open = () => testService({ clock, reducto, events, folder, store: 'memory' })

  async function deliver(service: TestService, jobId: string): Promise<void> {
    const { body } = delivery(jobId)
    const headers = signed(service.secret, body, undefined, new Date(clock.now()))
    expect((await fetch(`${service.url}/webhook`, { method: 'POST', headers, body })).status).toBe(200)
  }

  /** The jobs of one hour: registered, ended within it, and announced unless something is in the way. */
  async function hour(service: TestService, at: number): Promise<void> {
    for (let n = 0; n < JOBS; n++) {
      const jobId = reducto.addJob({ id: `job-${at}-${n}`, status: 'Pending' })
      await service.inbox.expect(jobId, { metadata: { at, n }, by: 'test' })
      jobs.push(jobId)
      reducto.end(jobId, n === 2 ? 'Failed' : 'Completed')
      const isLost = jobs.length % ONE_LOST_OF === 0
      // The customer deletes one of those at Reducto before anybody asked for it.
      if (isLost && jobs.length % (3 * ONE_LOST_OF) === 0) {
        reducto.purge(jobId)
        purged.add(jobId)
      }
      if (!isLost && !isDisabled(at) && !isDown(at + 1)) await deliver(service, jobId)
    }
  }

  /** All that is due now has been done. */
  async function settled(service: TestService): Promise<void> {
    await vi.waitFor(
      async () => {
        const { rows } = await service.inbox.list({ state: 'running' }, { limit: 1 })
        const queued = await service.inbox.list({ state: 'queued' }, { limit: 1_000 })
        expect([...rows, ...queued.rows.filter(({ dueAt }) => dueAt <= clock.now())]).toEqual([])
        // The looks come once an hour at least, and all jobs have ended.
        expect(await service.inbox.overdue(clock.now() - 2 * HOUR, 1)).toMatchObject({ total: 0 })
      },
      { timeout: 10_000, interval: 2 },
    )
  }

  return { advance, found, hour, jobs, open, purged, settled }
}

it('ends with every registered job saved, or reported as purged by name', async () => {
  const { advance, found, hour, jobs, open, purged, settled } = await week()
  let service = await open()
  for (let at = 0; at < HOURS; at++) {
    if (isDown(at)) {
      if (!isDown(at - 1)) await service.stop()
      advance(HOUR)
      if (!isDown(at + 1)) service = await open()
      continue
    }
    await hour(service, at)
    for (let half = 0; half < 2; half++) {
      advance(30 * MINUTE)
      await settled(service)
    }
  }
  // The last ones become overdue, and a job that Reducto does not know is asked for over a quarter of an hour.
  for (let step = 0; step < 24; step++) {
    advance(10 * MINUTE)
    await settled(service)
  }

  const { jobs: counts } = await service.inbox.stats()
  expect(counts).toEqual({ expected: 0, queued: 0, running: 0, done: jobs.length - purged.size, dead: purged.size })
  expect(purged.size).toBeGreaterThan(1)
  for (const jobId of jobs) {
    const job = await service.inbox.get(jobId)
    if (purged.has(jobId)) {
      expect(job, jobId).toMatchObject({ state: 'dead', reason: { message: expect.stringContaining('purged') } })
      continue
    }
    expect(job, jobId).toMatchObject({ state: 'done' })
    const [, at, n] = jobId.split('-').map(Number)
    const record = await service.results.record(jobId, new AbortController().signal)
    expect(record, jobId).toMatchObject({
      complete: true,
      metadata: { at, n },
      status: n === 2 ? 'Failed' : 'Completed',
    })
  }
  // 2 % of the week, the day, and the hour before the night.
  expect(found.missed).toBeGreaterThan(24 * JOBS)
  expect(found.silences).toContain('silence')
}, 300_000)
