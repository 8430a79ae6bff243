import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import type { Claim } from '../../src/inbox/inbox.ts'
import { freshProgress } from '../../src/job.ts'
import type { JobRecord } from '../../src/results/record.ts'
import type { Fault } from '../../src/simulator/reducto.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { PROBE_EVERY_MS } from '../../src/worker/gate.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, event, testReducto, testService } from '../support/service.ts'
import { deliver, nextAttempt, type Rig, ready, rig, settled, through, untilOver } from './rig.ts'

/**
 * The worker's policy, rule by rule: the whole service against a simulated Reducto over real sockets, on a clock that
 * moves when told.
 */

const MINUTE = 60_000
const HOUR = 60 * MINUTE

function record(on: Rig, jobId: string): JobRecord {
  return JSON.parse(readFileSync(join(on.folder, 'results', jobId, 'record.json'), 'utf8'))
}

const times = (count: number, fault: Fault): Fault[] => Array.from({ length: count }, () => fault)
const status = (code: number, more: Partial<Extract<Fault, { is: 'status' }>> = {}): Fault => ({
  is: 'status',
  status: code,
  ...more,
})

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

describe('an expired file URL', () => {
  it('has the job fetched again for fresh ones before the attempt counts as failed', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ kind: 'parse-url' })
    on.reducto.storage.fail(`${jobId}/result.json`, 'expired')
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', attempt: 1, calls: 2 })
    expect(record(on, jobId)).toMatchObject({ complete: true, files: { count: 5, failed: 0 } })
  })

  it('counts as failed when the fresh one is no better', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ kind: 'parse-url' })
    on.reducto.storage.fail(`${jobId}/result.json`, ...[404, 410, 403, 404].map((code) => ({ status: code })))
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({
      state: 'queued',
      calls: 4,
      outcome: { is: 'retry', reason: { code: 'result_missing' } },
    })
    expect(await nextAttempt(on, first)).toMatchObject({ state: 'done', attempt: 2 })
  })
})

describe('what may be missing', () => {
  it('a side file that is gone is listed with an error, and the record is not complete', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ kind: 'parse' })
    on.reducto.storage.fail(`${jobId}/figure.png`, ...Array.from({ length: 9 }, () => ({ status: 404 })))
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', outcome: { is: 'done', missing: 1 } })
    expect(record(on, jobId)).toMatchObject({ complete: false, files: { count: 4, failed: 1 } })
    const lines = readFileSync(join(on.folder, 'results', jobId, 'files.jsonl'), 'utf8')
    expect(lines).toContain('"error":"the storage answered 404')
  })

  it('a side file that fails does not hold up its result, and is added when it comes', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ kind: 'parse' })
    const name = `${jobId}/figure.png`
    on.reducto.storage.fail(name, ...Array.from({ length: 5 }, () => ({ status: 500 })))
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', calls: 1, outcome: { missing: 1 } })
    expect(record(on, jobId)).toMatchObject({ complete: false, files: { failed: 1 } })
    // Four tries within the attempt, and nothing else was downloaded twice.
    const { downloads } = on.reducto.storage
    expect([...downloads].filter(([, count]) => count > 1)).toEqual([[name, 4]])
    const added = event(on.events, 'sideFiles')
    await on.clock.sleeping(1_000)
    on.clock.advance(10 * MINUTE)
    expect(await through(on, added)).toMatchObject({ jobId, missing: 0, again: null, calls: 1 })
    expect(record(on, jobId)).toMatchObject({ complete: true, files: { failed: 0 } })
    expect([...downloads].filter(([, count]) => count > 1)).toEqual([[name, 6]])
    expect(await on.inbox.get(jobId)).toMatchObject({ state: 'done' })
  })

  it('a side file stays missing when Reducto has purged the job', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob({ kind: 'parse' })
    on.reducto.storage.fail(`${jobId}/figure.png`, ...Array.from({ length: 99 }, () => ({ status: 500 })))
    await deliver(on, jobId)
    on.reducto.purge(jobId)
    // Believed after 15 minutes, as for a fetch.
    let tries = 0
    for (let again: number | null = 0; again !== null; tries++) {
      const tried = event(on.events, 'sideFiles')
      await on.clock.sleeping(1_000)
      on.clock.advance(10 * MINUTE)
      again = (await through(on, tried)).again
    }
    expect(tries).toBeGreaterThan(1)
    expect(record(on, jobId)).toMatchObject({ complete: false, files: { failed: 1 } })
  })

  it('without its edited document a job is dead in the end, and keeps what was had', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '1ms' })
    const jobId = on.reducto.addJob({ kind: 'edit' })
    on.reducto.storage.fail(`${jobId}/edited.pdf`, ...Array.from({ length: 100 }, () => ({ status: 500 })))
    expect((await untilOver(on, await deliver(on, jobId))).state).toBe('dead')
    expect(record(on, jobId)).toMatchObject({
      complete: false,
      gave_up: { code: 'result_missing' },
      job: { path: 'job.json' },
      files: { count: 1, failed: 1 },
    })
    // A person presses Resend, and what was kept is replaced by the result.
    on.reducto.storage.clear()
    on.reducto.addJob({ id: jobId, kind: 'edit' })
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done' })
    expect(record(on, jobId)).toMatchObject({ complete: true })
    expect(record(on, jobId)).not.toHaveProperty('gave_up')
  })

  it('what was had is kept by the time Reducto purges the job', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '1h' })
    const jobId = on.reducto.addJob({ kind: 'edit' })
    on.reducto.storage.fail(`${jobId}/edited.pdf`, ...Array.from({ length: 999 }, () => ({ status: 500 })))
    const began = on.clock.now()
    let last = await deliver(on, jobId)
    // Until half of the patience is spent there may still be something better.
    expect(existsSync(join(on.folder, 'results', jobId))).toBe(false)
    while (on.clock.now() - began < 50 * MINUTE) last = await nextAttempt(on, last)
    expect(record(on, jobId)).toMatchObject({ complete: false, gave_up: { code: 'result_missing' } })
    expect(await on.inbox.get(jobId)).toMatchObject({ state: 'queued', stage: 'fetch' })
    on.reducto.purge(jobId)
    expect(await untilOver(on, last)).toMatchObject({ state: 'dead', outcome: { reason: { code: 'unknown_job' } } })
    expect(record(on, jobId)).toMatchObject({ complete: false, job: { path: 'job.json' } })
  })

  it('a fresh answer that lacks the result does not make the job done', async () => {
    const on = await rig()
    let answers = 0
    const jobId = on.reducto.addJob({
      document: (storage) => {
        storage.put('late.json', { contentType: 'application/json', body: Buffer.from('[]') })
        const link = { type: 'url', url: storage.link('late.json'), result_id: 'r' }
        return { type: 'Parse', result: answers++ === 0 ? { duration: 1, usage: {}, result: link } : null }
      },
    })
    on.reducto.storage.fail('late.json', 'expired')
    expect(await deliver(on, jobId)).toMatchObject({
      state: 'queued',
      calls: 2,
      outcome: { is: 'retry', reason: { code: 'result_missing' } },
    })
    expect(existsSync(join(on.folder, 'results', jobId))).toBe(false)
  })

  it('a Completed answer without its result is unfinished, and in the end dead with no_result', async () => {
    const on = await rig({ FETCH_RETRY_FOR: '5s' })
    const jobId = on.reducto.addJob({ document: () => ({ type: 'Parse', result: null }) })
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ state: 'queued', outcome: { is: 'unfinished', reason: { code: 'no_result' } } })
    expect(await untilOver(on, first)).toMatchObject({ state: 'dead', outcome: { reason: { code: 'no_result' } } })
    expect(record(on, jobId)).toMatchObject({ complete: false, gave_up: { code: 'no_result' } })
  })

  it('a document that stays unreadable is saved as it is, with a warning', async () => {
    const on = await rig()
    const text = '[{"content":NaN}]'
    const jobId = on.reducto.addJob({
      document: (storage) => {
        storage.put('nan.json', { contentType: 'application/json', body: Buffer.from(text) })
        const result = { type: 'url', url: storage.link('nan.json'), result_id: 'r' }
        return { type: 'Parse', result: { duration: 1, usage: {}, result } }
      },
    })
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done' })
    expect(record(on, jobId)).toMatchObject({ complete: false, files: { count: 1, failed: 0 } })
    const [line = ''] = readFileSync(join(on.folder, 'results', jobId, 'files.jsonl'), 'utf8').split('\n')
    const entry = JSON.parse(line)
    expect(entry).toMatchObject({ warning: expect.stringContaining('saved as it is') })
    expect(readFileSync(join(on.folder, 'results', jobId, entry.path), 'utf8')).toBe(text)
  })

  it('an answer that is no JSON, but names its status, is saved as it is when it stays the same', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    const body = '{"status":"Completed","type":"Extract","result":{"result":[{"total":NaN}]}}'
    on.reducto.fail(jobId, ...times(3, { is: 'body', body }))
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', calls: 3 })
    expect(record(on, jobId)).toMatchObject({ status: 'Completed', complete: false, warning: expect.any(String) })
    expect(readFileSync(join(on.folder, 'results', jobId, 'job.json'), 'utf8')).toBe(body)
  })

  it('a result larger than MAX_RESULT_BYTES is dead at once, with a reason that names the setting', async () => {
    const on = await rig({ MAX_RESULT_BYTES: '4kb' })
    const jobId = on.reducto.addJob({ kind: 'parse' })
    expect(await deliver(on, jobId)).toMatchObject({
      state: 'dead',
      outcome: { reason: { code: 'too_large', message: expect.stringContaining('MAX_RESULT_BYTES') } },
    })
    expect(record(on, jobId)).toMatchObject({ complete: false, gave_up: { code: 'too_large' } })
  })
})

describe('a refetch', () => {
  it('of a job that Reducto has purged falls back to what is saved', async () => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    await deliver(on, jobId)
    on.reducto.purge(jobId)
    const first = settled(on, jobId)
    await on.inbox.requeue({ jobId }, { refetch: true })
    expect(await untilOver(on, await first)).toMatchObject({ state: 'done', stage: 'hand_over' })
    expect(record(on, jobId)).toMatchObject({ complete: true })
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
