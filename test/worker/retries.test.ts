import { describe, expect, it, vi } from 'vitest'
import type { Fault } from '../../src/simulator/reducto.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, event, testReducto, testService } from '../support/service.ts'
import { deliver, HOUR, MINUTE, nextAttempt, record, rig, settled, status, times, untilOver } from './rig.ts'

/** What is tried again, how often, and what is gone. */

describe('in the process, by due time', () => {
  it('runs up to WORKER_CONCURRENCY jobs at once', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '3' })
    let [running, most] = [0, 0]
    on.events.on('started', () => {
      most = Math.max(most, ++running)
    })
    on.events.on('settled', () => running--)
    const ids = Array.from({ length: 9 }, () => on.reducto.addJob({ kind: 'classify' }))
    const all = ids.map((id) => settled(on, id))
    await Promise.all(ids.map((id) => on.inbox.accept(delivery(id))))
    await Promise.all(all)
    expect(most).toBe(3)
  })

  it('with WORKER_CONCURRENCY=0 only receives', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '0' })
    const started = vi.fn()
    on.events.on('started', started)
    await on.inbox.accept(delivery(on.reducto.addJob()))
    on.clock.advance(MINUTE)
    expect((await on.inbox.stats()).jobs.queued).toBe(1)
    expect(started).not.toHaveBeenCalled()
  })
})

describe('before a fetch', () => {
  it('looks for a complete record: nothing is fetched after it is done', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    await deliver(on, jobId)
    expect(on.reducto.fetches.get(jobId)).toBe(1)
    const again = settled(on, jobId)
    await on.inbox.requeue({ jobId })
    expect(await again).toMatchObject({ state: 'done', calls: 0, outcome: { is: 'done', status: 'Completed' } })
    expect(on.reducto.fetches.get(jobId)).toBe(1)
  })

  it('fetches anew, and replaces the record, when a delivery contradicts it', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ status: 'Failed' })
    await deliver(on, jobId, 'Failed')
    expect(record(on, jobId)).toMatchObject({ status: 'Failed' })
    on.reducto.end(jobId, 'Completed')
    expect(await deliver(on, jobId, 'Completed')).toMatchObject({ state: 'done', calls: 1 })
    expect(record(on, jobId)).toMatchObject({ status: 'Completed', type: 'Parse', complete: true })
  })
})

describe('try again', () => {
  const again: [name: string, fault: Fault, code: string][] = [
    ['500', status(500), 'http_500'],
    ['502 of a proxy', { is: 'html', status: 502 }, 'http_502'],
    ['503', status(503), 'http_503'],
    ['404 of a proxy, in HTML', { is: 'html', status: 404 }, 'http_404'],
    ['408', status(408), 'http_408'],
    ['409', status(409), 'http_409'],
    ['413', status(413), 'http_413'],
    ['418', status(418), 'http_418'],
    ['422', status(422, { body: { detail: [{ msg: 'no' }] } }), 'http_422'],
    ['429', status(429), 'http_429'],
    ['442', status(442), 'http_442'],
    ['a redirect', status(302, { headers: { location: 'https://example.com/' } }), 'http_302'],
    ['a reset connection', { is: 'reset' }, 'network'],
    ['a truncated answer', { is: 'truncate' }, 'network'],
    ['an answer that is not JSON', { is: 'body', body: 'hello' }, 'unreadable'],
    ['an answer that is no object', { is: 'body', body: '[]' }, 'unreadable'],
    ['an empty answer', { is: 'body', body: '' }, 'unreadable'],
  ]
  it.each(again)('after %s', async (_name, fault, code) => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, fault)
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ state: 'queued', outcome: { is: 'retry', reason: { code } } })
    expect(await on.inbox.get(jobId)).toMatchObject({ failures: 1, reason: { code } })
    expect(await nextAttempt(on, first)).toMatchObject({ state: 'done', attempt: 2 })
  })

  it('an answer that breaks off is asked for again at once, three times', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    const cut: Fault = { is: 'body', body: '{"status":"Completed"' }
    on.reducto.fail(jobId, cut, cut, cut, cut)
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ state: 'queued', calls: 3, outcome: { reason: { code: 'unreadable' } } })
    expect(await nextAttempt(on, first)).toMatchObject({ state: 'done', calls: 2 })
  })

  it('honours Retry-After', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, status(503, { headers: { 'retry-after': '120' } }))
    const first = await deliver(on, jobId)
    expect(first.dueAt - on.clock.now()).toBe(120_000)
  })

  it('a job still unfinished costs no attempt', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(
      jobId,
      ...['Pending', 'Idle', 'InProgress', 'Whatever'].map((name): Fault => ({ is: 'unfinished', status: name })),
    )
    const last = await untilOver(on, await deliver(on, jobId))
    expect(last).toMatchObject({ state: 'done', attempt: 1 })
    expect(on.reducto.fetches.get(jobId)).toBe(5)
  })

  it('gives up when FETCH_RETRY_FOR is over, and not before', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '2h' })
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, ...times(200, status(500)))
    const began = on.clock.now()
    const last = await untilOver(on, await deliver(on, jobId))
    expect(last).toMatchObject({ state: 'dead', outcome: { reason: { code: 'http_500' } } })
    expect(on.clock.now() - began).toBeGreaterThanOrEqual(2 * HOUR)
    expect(on.clock.now() - began).toBeLessThanOrEqual(2 * HOUR + 10 * MINUTE)
  })

  it('a delivery or a person gives a dead job fresh attempts', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '1ms' })
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, status(500), status(500))
    const first = await deliver(on, jobId)
    expect((await untilOver(on, first)).state).toBe('dead')
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', attempt: 1 })
  })
})

describe('429 slows the whole worker', () => {
  it('claims nothing for as long as Retry-After says', async () => {
    const on = await rig({ WORKER_CONCURRENCY: '1' })
    const limited = on.reducto.addJob()
    on.reducto.fail(limited, status(429, { headers: { 'retry-after': '60' } }))
    const slowed = event(on.events, 'slowed')
    await deliver(on, limited)
    expect(await slowed).toEqual({ ms: 60_000 })
    const other = on.reducto.addJob()
    await on.clock.sleeping(60_000)
    const later = settled(on, other)
    await on.inbox.accept(delivery(other))
    on.clock.advance(59_999)
    expect(await on.inbox.get(other)).toMatchObject({ state: 'queued' })
    expect(on.reducto.fetches.has(other)).toBe(false)
    on.clock.advance(1)
    expect(await later).toMatchObject({ state: 'done' })
  })
})

describe('gone', () => {
  it('410: on the second try', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, status(410), status(410))
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ state: 'queued', outcome: { is: 'gone', reason: { code: 'deleted' } } })
    expect(await nextAttempt(on, first)).toMatchObject({ state: 'dead' })
    expect(on.reducto.fetches.get(jobId)).toBe(2)
  })

  it('404 in Reducto’s JSON: after it was confirmed for 15 minutes', async () => {
    const on = await rig()
    const began = on.clock.now()
    const last = await untilOver(on, await deliver(on, 'unknown-job'))
    expect(last).toMatchObject({ state: 'dead', outcome: { reason: { code: 'unknown_job' } } })
    expect((await on.inbox.get('unknown-job'))!.reason!.message).toBe(
      'Reducto knows no such job under this key and region: purged, deleted, a test event, or submitted with another key',
    )
    const waited = on.clock.now() - began
    expect(waited).toBeGreaterThanOrEqual(15 * MINUTE)
    expect(waited).toBeLessThan(16 * MINUTE)
    expect(on.reducto.fetches.get('unknown-job')).toBeGreaterThan(2)
  })

  it('404, but found at last: is fetched', async () => {
    const on = await rig()
    const first = await deliver(on, 'late-job')
    on.reducto.addJob({ id: 'late-job' })
    expect(await untilOver(on, first)).toMatchObject({ state: 'done' })
  })

  it('404: after FETCH_RETRY_FOR if that is shorter', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '1m' })
    const began = on.clock.now()
    await untilOver(on, await deliver(on, 'unknown-job'))
    expect(on.clock.now() - began).toBeGreaterThanOrEqual(MINUTE)
    expect(on.clock.now() - began).toBeLessThan(MINUTE + 2_000)
  })
})

describe('patience', () => {
  it('only a failing attempt makes a job dead: after a long stop each gets one first', async () => {
    const reducto = await testReducto()
    const before = await rig({ FETCH_RETRY_FOR: '1h' }, { reducto })
    const [lucky, unlucky] = [reducto.addJob(), reducto.addJob()]
    reducto.fail(lucky, status(500))
    reducto.fail(unlucky, ...times(200, status(500)))
    await Promise.all([deliver(before, lucky), deliver(before, unlucky)])
    await before.stop()

    const after = await rig({ FETCH_RETRY_FOR: '1h' }, { reducto, folder: before.folder })
    const [one, two] = [settled(after, lucky), settled(after, unlucky)]
    // A month later.
    after.clock.advance(30 * 24 * HOUR)
    expect(await one).toMatchObject({ state: 'done' })
    expect(await two).toMatchObject({ state: expect.stringMatching(/queued|dead/), attempt: 2 })
  })

  it('the time of a stop does not count', async () => {
    const reducto = await testReducto()
    const clock = createManualClock()
    const events = createEvents()
    const env = { FETCH_RETRY_FOR: '1h', SHUTDOWN_GRACE: '0ms' }
    const before = { ...(await testService({ clock, events, env, reducto, store: 'sqlite' })), clock, events }
    const jobId = reducto.addJob()
    reducto.fail(jobId, ...times(3, status(500)))
    await deliver(before, jobId)
    await before.stop()
    clock.advance(30 * 24 * HOUR)
    const attempt = event(events, 'settled')
    await testService({ clock, events, env, reducto, store: 'sqlite', folder: before.folder })
    expect(await attempt).toMatchObject({ jobId, state: 'queued', attempt: 2 })
  })
})
