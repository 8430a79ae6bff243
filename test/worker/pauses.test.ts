import { describe, expect, it, vi } from 'vitest'
import { PROBE_EVERY_MS } from '../../src/worker/gate.ts'
import { delivery, event } from '../support/service.ts'
import { deliver, HOUR, nextAttempt, ready, rig, settled, status, times } from './rig.ts'

/** Trouble that no job can help pauses the worker, and costs no job anything. */

describe('not the job’s fault', () => {
  it.each([401, 403])('%i for the whole account: pauses, probes every 30 s, and costs nothing', async (code) => {
    const on = await rig({ WORKER_CONCURRENCY: '1', FETCH_RETRY_FOR: '1h' })
    const jobId = on.reducto.addJob()
    on.reducto.setAccountFault({ is: 'status', status: code })
    const paused = event(on.events, 'paused')
    const first = await deliver(on, jobId)
    expect(await paused).toMatchObject({
      cause: 'reducto_auth',
      reason: { message: expect.stringContaining('REDUCTO_API_KEY') },
    })
    expect(first).toMatchObject({ state: 'queued', outcome: { is: 'wait' } })
    expect(await ready(on)).toMatchObject({ status: 200, body: { degraded: ['reducto_auth'] } })
    const other = on.reducto.addJob()
    await on.inbox.accept(delivery(other))
    // Longer than any patience: the time does not count.
    for (let probes = 0; probes < 3; probes++) {
      await on.clock.sleeping(PROBE_EVERY_MS)
      on.clock.advance(24 * HOUR)
    }
    await on.clock.sleeping(PROBE_EVERY_MS)
    expect(on.reducto.fetches.has(other)).toBe(false)
    on.reducto.setAccountFault(null)
    const [resumed, done] = [event(on.events, 'resumed'), settled(on, jobId)]
    on.reducto.fail(jobId, status(500))
    on.clock.advance(PROBE_EVERY_MS)
    await resumed
    expect(await done).toMatchObject({ state: 'queued', attempt: 1 })
    expect(await ready(on)).toEqual({ status: 200, body: { status: 'ready' } })
  })

  it('a 403 for one job alone is that job’s, also in HTML', async () => {
    for (const fault of [status(403), { is: 'html', status: 403 } as const]) {
      const on = await rig()
      const jobId = on.reducto.addJob()
      on.reducto.fail(jobId, fault)
      const first = await deliver(on, jobId)
      expect(first).toMatchObject({ outcome: { is: 'retry', reason: { code: 'http_403' } } })
      expect(await nextAttempt(on, first)).toMatchObject({ state: 'done', attempt: 2 })
    }
  })

  it('ten different jobs in a row unknown, none found since the start: pauses until one is found', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '2' })
    const paused = event(on.events, 'paused')
    for (let job = 1; job <= 10; job++) await deliver(on, `unknown-${job}`)
    expect(await paused).toMatchObject({
      cause: 'reducto_auth',
      reason: { message: expect.stringContaining('REDUCTO_ENVIRONMENT') },
    })
    expect(await on.inbox.get('unknown-10')).toMatchObject({ state: 'queued', failures: 0 })
    // Trials every 30 s, in which an unknown job loses nothing, however long it takes.
    const found = on.reducto.addJob()
    const [done, resumed] = [settled(on, found), event(on.events, 'resumed')]
    await on.inbox.accept(delivery(found, { at: on.clock.now() }))
    let over = false
    void done.then(() => {
      over = true
    })
    for (let trials = 0; trials < 20 && !over; trials++) {
      await on.clock.sleeping(PROBE_EVERY_MS)
      on.clock.advance(PROBE_EVERY_MS)
      await Promise.race([done, on.clock.sleeping(PROBE_EVERY_MS)])
    }
    expect(await done).toMatchObject({ state: 'done' })
    await resumed
  })

  it('the doubt ends too when the list of jobs names one of ours; then unknown ones are gone by their own rule', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '2' })
    const [paused, resumed] = [event(on.events, 'paused'), event(on.events, 'resumed')]
    for (let job = 1; job <= 10; job++) await deliver(on, `unknown-${job}`)
    expect(await paused).toMatchObject({ cause: 'reducto_auth' })
    // It is listed, and yet not to be had: nothing has been found by fetching.
    on.reducto.addJob({ id: 'unknown-3' })
    on.reducto.fail('*', ...times(99, status(404, { body: { detail: 'Job not found' } })))
    await on.clock.sleeping(PROBE_EVERY_MS)
    const gone = event(on.events, 'settled', ({ outcome }) => outcome.is === 'gone')
    on.clock.advance(PROBE_EVERY_MS)
    expect(await resumed).toMatchObject({ cause: 'reducto_auth' })
    await gone
    expect(await ready(on)).toEqual({ status: 200, body: { status: 'ready' } })
  })

  it('after an outage, purged jobs do not hold up one that can be had', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '2' })
    await on.inbox.pause(true)
    for (let job = 1; job <= 64; job++) await on.inbox.accept(delivery(`purged-${job}`, { at: on.clock.now() }))
    const good = on.reducto.addJob()
    await on.inbox.accept(delivery(good, { at: on.clock.now() }))
    const started: string[] = []
    on.events.on('started', ({ jobId }) => started.push(jobId))
    const done = settled(on, good)
    await on.inbox.pause(false)
    expect(await done).toMatchObject({ state: 'done' })
    expect(started.indexOf(good)).toBeLessThan(2)
  })

  it('does not pause for unknown jobs once one was found', async () => {
    const on = await rig()
    await deliver(on, on.reducto.addJob())
    const paused = vi.fn()
    on.events.on('paused', paused)
    for (let job = 1; job <= 12; job++) await deliver(on, `unknown-${job}`)
    expect(paused).not.toHaveBeenCalled()
  })

  it('low disk: pauses, accepts all the same, and goes on when there is room', async () => {
    const on = await rig({ MIN_FREE_DISK: '1000000tb' })
    const jobId = on.reducto.addJob()
    await on.inbox.accept(delivery(jobId))
    await on.clock.sleeping(PROBE_EVERY_MS)
    expect(await ready(on)).toMatchObject({ status: 200, body: { degraded: ['disk'] } })
    expect(on.reducto.fetches.size).toBe(0)
  })

  it('a results store that refuses: pauses, and the job goes on where it was', async () => {
    const on = await rig()
    await deliver(on, on.reducto.addJob())
    const jobId = on.reducto.addJob()
    const { draft } = on.results
    const { ResultsUnavailable } = await import('../../src/results/results.ts')
    const refuse = () => Promise.reject(new ResultsUnavailable('results', 'EACCES: permission denied'))
    on.results.draft = refuse
    on.results.check = refuse
    const paused = event(on.events, 'paused')
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ state: 'queued', outcome: { is: 'wait' } })
    expect(await paused).toMatchObject({ cause: 'results' })
    await on.clock.sleeping(PROBE_EVERY_MS)
    on.results.draft = draft
    on.results.check = async () => {}
    const done = settled(on, jobId)
    on.clock.advance(PROBE_EVERY_MS)
    expect(await done).toMatchObject({ state: 'done', attempt: 1 })
  })
})

describe('one job’s trouble with the store is that job’s', () => {
  it('others are saved meanwhile', async () => {
    const on = await rig()
    const [broken, fine] = [on.reducto.addJob(), on.reducto.addJob()]
    const { draft } = on.results
    const { ResultsUnavailable } = await import('../../src/results/results.ts')
    on.results.draft = async (jobId, token, options) => {
      if (jobId === broken) throw new ResultsUnavailable('disk', 'ENOSPC: no space left on device')
      return draft(jobId, token, options)
    }
    expect(await deliver(on, broken)).toMatchObject({
      state: 'queued',
      outcome: { is: 'retry', reason: { code: 'disk' } },
    })
    expect(await ready(on)).toEqual({ status: 200, body: { status: 'ready' } })
    expect(await deliver(on, fine)).toMatchObject({ state: 'done' })
  })
})
