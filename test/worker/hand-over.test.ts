import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Context, Permanent, type Result } from '../../src/handler/handler.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, event, testReducto, testService } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** The stage after the result is saved, rule by rule, with a handler whose behaviour each test decides. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

type Handle = (result: Result, context: Context) => unknown
type Settled = Events['settled'][0]

async function rig(handle: Handle, env: Record<string, string> = {}, on: { folder?: string; reducto?: Reducto } = {}) {
  const folder = on.folder ?? tempFolder()
  const name = `handle${Math.random().toString(36).slice(2)}`
  const hooks = globalThis as unknown as Record<string, Handle>
  hooks[name] = handle
  onTestFinished(() => void delete hooks[name])
  const file = join(tempFolder(), 'handler.mjs')
  writeFileSync(file, `export default (...args) => globalThis.${name}(...args)`)
  const clock = createManualClock()
  const events = createEvents()
  const reducto = on.reducto ?? (await testReducto())
  const service = await testService({ clock, events, folder, reducto, store: 'memory', env: { HANDLER: file, ...env } })

  /** The next attempt that is more than a fetch which saved its result. */
  async function settledAfter(act: () => unknown): Promise<Settled> {
    const settled = event(events, 'settled', ({ outcome }) => outcome.is !== 'saved')
    await act()
    return settled
  }
  return {
    ...service,
    clock,
    events,
    folder,
    reducto,
    settledAfter,
    deliver: (jobId: string, status = 'Completed') =>
      settledAfter(() => service.inbox.accept(delivery(jobId, { status, at: clock.now() }))),
    next: (last: Settled) => settledAfter(() => clock.advance(Math.max(last.dueAt - clock.now(), 0))),
  }
}

it('a handler that fails is called again, with the number of the attempt; nothing is fetched again, even when it is purged', async () => {
  const attempts: number[] = []
  const on = await rig(async (result, { attempt }) => {
    attempts.push(attempt)
    expect(result.status === 'Completed' && (await result.job()).status).toBe('Completed')
    if (attempt < 4) throw new Error(`not yet: ${attempt}`)
  })
  const jobId = on.reducto.addJob({ kind: 'parse-url' })
  let last = await on.deliver(jobId)
  expect(last).toMatchObject({ stage: 'hand_over', state: 'queued', calls: 0, attempt: 1 })
  on.reducto.purge(jobId)
  while (last.state === 'queued') last = await on.next(last)
  expect(last).toMatchObject({ stage: 'hand_over', state: 'done', calls: 0, attempt: 4 })
  expect(attempts).toEqual([1, 2, 3, 4])
  expect(on.reducto.fetches.get(jobId)).toBe(1)
  const detail = (await on.inbox.get(jobId))!
  expect(detail).toMatchObject({ state: 'done', reason: null, type: 'Parse', status: 'Completed' })
  expect(detail.attempts.map(({ outcome, reason }) => [outcome, reason?.message])).toEqual([
    ['done', undefined],
    ['retry', 'not yet: 3'],
    ['retry', 'not yet: 2'],
    ['retry', 'not yet: 1'],
    ['saved', undefined],
  ])
})

it('a job whose result is saved resumes at the handler after the service was stopped in the middle of a call', async () => {
  const reducto = await testReducto()
  const folder = tempFolder()
  const called = Promise.withResolvers<AbortSignal>()
  const first = await rig(
    async (_result, { signal }) => {
      called.resolve(signal)
      await new Promise(() => {})
    },
    {},
    { reducto, folder },
  )
  const jobId = reducto.addJob()
  const settled = event(first.events, 'settled', ({ stage }) => stage === 'hand_over')
  await first.inbox.accept(delivery(jobId))
  const signal = await called.promise
  const stopped = first.stop()
  expect(await settled).toMatchObject({ outcome: { is: 'interrupted' }, state: 'queued' })
  expect(signal.aborted).toBe(true)
  await stopped
  reducto.purge(jobId)
  const attempts: number[] = []
  const handled = Promise.withResolvers<void>()
  const second = await rig(
    (_result, { attempt }) => {
      attempts.push(attempt)
      handled.resolve()
    },
    {},
    { reducto, folder },
  )
  await handled.promise
  await expect.poll(async () => (await second.inbox.get(jobId))!.state).toBe('done')
  expect(attempts).toEqual([1])
  expect(reducto.fetches.get(jobId)).toBe(1)
})

it('patience with the handler counts from when the result was saved, however long fetching took', async () => {
  const on = await rig(
    () => {
      throw new Error('down')
    },
    { FETCH_RETRY_FOR: '1h', HANDLER_RETRY_FOR: '1d' },
  )
  const jobId = on.reducto.addJob()
  on.reducto.fail(jobId, { is: 'status', status: 503 })
  let last = await on.deliver(jobId)
  last = await on.settledAfter(() => on.clock.advance(2 * HOUR))
  expect(last).toMatchObject({ stage: 'hand_over', state: 'queued', attempt: 1 })
  const saved = on.clock.now()
  while (last.state === 'queued') last = await on.next(last)
  expect(last).toMatchObject({ state: 'dead', outcome: { reason: { code: 'handler', message: 'down' } } })
  expect(on.clock.now() - saved).toBeGreaterThanOrEqual(DAY)
  expect(on.clock.now() - saved).toBeLessThan(DAY + HOUR)
})

it('a dead job comes back by Resend and by a person, at the handler, with fresh attempts and a round of its own', async () => {
  const calls: number[] = []
  const on = await rig((_result, { attempt }) => {
    calls.push(attempt)
    if (calls.length < 3) throw new Permanent('no such customer')
  })
  const jobId = on.reducto.addJob()
  const message = delivery(jobId)
  const dead = { state: 'dead', outcome: { is: 'dead', reason: { code: 'refused', message: 'no such customer' } } }
  expect(await on.settledAfter(() => on.inbox.accept(message))).toMatchObject(dead)
  on.reducto.purge(jobId)
  expect(await on.settledAfter(() => on.inbox.accept(message))).toMatchObject(dead)
  expect(await on.settledAfter(() => on.inbox.requeue({ jobId }))).toMatchObject({ state: 'done', calls: 0 })
  expect(calls).toEqual([1, 1, 1])
  expect(on.reducto.fetches.get(jobId)).toBe(1)
})

it('a handler that hangs holds up no fetch: results are saved, and handed over when it has a place', async () => {
  const hung: (() => void)[] = []
  const on = await rig(() => new Promise<void>((resolve) => hung.push(resolve)), { WORKER_CONCURRENCY: '2' })
  const jobs = Array.from({ length: 10 }, () => on.reducto.addJob({ kind: 'classify' }))
  const saved = new Promise<void>((resolve) => {
    let left = jobs.length
    on.events.on('settled', ({ outcome }) => outcome.is === 'saved' && --left === 0 && resolve())
  })
  for (const jobId of jobs) await on.inbox.accept(delivery(jobId))
  await saved
  await expect.poll(() => hung.length).toBe(2)
  for (const jobId of jobs) {
    expect(on.reducto.fetches.get(jobId)).toBe(1)
    on.reducto.purge(jobId)
  }
  const done = new Promise<void>((resolve) => {
    let left = jobs.length
    on.events.on('settled', ({ outcome }) => outcome.is === 'done' && --left === 0 && resolve())
  })
  while (hung.length > 0 || (await on.inbox.stats()).jobs.done < jobs.length) {
    for (const resolve of hung.splice(0)) resolve()
    await new Promise(setImmediate)
  }
  await done
  const attempts = (await on.inbox.get(jobs[9]!))!.attempts.map(({ outcome, task }) => [outcome, task])
  expect(attempts).toEqual([
    ['done', 'hand_over'],
    ['saved', 'fetch'],
  ])
})

it('with many saved results waiting, no more are handed over at once than there are slots', async () => {
  const reducto = await testReducto()
  const folder = tempFolder()
  const failing = await rig(
    () => {
      throw new Error('down')
    },
    { WORKER_CONCURRENCY: '8' },
    { reducto, folder },
  )
  for (let index = 0; index < 30; index++) await failing.deliver(reducto.addJob({ kind: 'classify' }))
  await failing.stop()
  let [running, most, calls] = [0, 0, 0]
  const allTaken = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  const on = await rig(
    async () => {
      most = Math.max(most, ++running)
      // The first ones hang until every place is taken.
      if (running === 3) allTaken.resolve()
      await allTaken.promise
      running--
      if (++calls === 40) done.resolve()
    },
    { WORKER_CONCURRENCY: '3' },
    { reducto, folder },
  )
  for (let index = 0; index < 10; index++) await on.inbox.accept(delivery(reducto.addJob({ kind: 'classify' })))
  on.clock.advance(20 * MINUTE)
  await done.promise
  expect(most).toBe(3)
})

it('without a handler any more, jobs that wait for one are done, no more of a stage at once than there are slots', async () => {
  const reducto = await testReducto()
  const folder = tempFolder()
  const failing = await rig(
    () => {
      throw new Error('down')
    },
    {},
    { reducto, folder },
  )
  for (let index = 0; index < 12; index++) await failing.deliver(reducto.addJob({ kind: 'classify' }))
  await failing.stop()
  const on = await rig(() => {}, { HANDLER: '', WORKER_CONCURRENCY: '2' }, { reducto, folder })
  let [running, most] = [0, 0]
  on.events.on('started', () => {
    most = Math.max(most, ++running)
  })
  on.events.on('settled', () => running--)
  await on.inbox.pause(true)
  for (let index = 0; index < 12; index++) await on.inbox.accept(delivery(reducto.addJob({ kind: 'classify' })))
  on.clock.advance(20 * MINUTE)
  await on.inbox.pause(false)
  await expect.poll(async () => (await on.inbox.stats()).jobs.done, { timeout: 10_000 }).toBe(24)
  expect(most).toBeLessThanOrEqual(4)
})

it('numbers of the metadata are numbers in the first call and in every later one, and keep their digits in the record', async () => {
  const seen: unknown[] = []
  const on = await rig((result, { attempt }) => {
    seen.push(result.record.metadata)
    if (attempt === 1) throw new Error('once')
  })
  const jobId = on.reducto.addJob()
  const text = `{"status":"Completed","job_id":"${jobId}","metadata":{"price":10.0,"id":12345678901234567890}}`
  const first = await on.settledAfter(() => on.inbox.accept({ ...delivery(jobId), body: text }))
  expect(await on.next(first)).toMatchObject({ state: 'done' })
  expect(seen).toEqual([
    { price: 10, id: Number('12345678901234567890') },
    { price: 10, id: Number('12345678901234567890') },
  ])
  expect(readFileSync(join(on.folder, 'results', jobId, 'record.json'), 'utf8')).toMatch(
    /"price": 10\.0,\s+"id": 12345678901234567890/,
  )
})

it('is called for jobs that failed at Reducto, and again when a delivery corrects that', async () => {
  const seen: string[] = []
  const on = await rig((result) => seen.push(result.status))
  const jobId = on.reducto.addJob({ status: 'Failed' })
  expect(await on.deliver(jobId, 'Failed')).toMatchObject({ state: 'done', outcome: { status: 'Failed' } })
  on.reducto.end(jobId)
  expect(await on.deliver(jobId)).toMatchObject({ state: 'done', outcome: { status: 'Completed' } })
  expect(seen).toEqual(['Failed', 'Completed'])
})

it('five failing calls in a row, of whichever jobs, show as degraded; one that works ends that', async () => {
  let broken = true
  const on = await rig(() => {
    if (broken) throw new Error('down')
  })
  const degraded = async () => ((await (await fetch(`${on.url}/readyz`)).json()) as { degraded?: string[] }).degraded
  const jobs = Array.from({ length: 5 }, () => on.reducto.addJob({ kind: 'classify' }))
  let last: Settled | null = null
  for (const [index, jobId] of jobs.entries()) {
    expect(await degraded(), String(index)).toBeUndefined()
    last = await on.deliver(jobId)
  }
  expect(await degraded()).toEqual(['handler'])
  broken = false
  await on.next(last!)
  expect(await degraded()).toBeUndefined()
})

it('a message that holds a secret or a signed link is scrubbed before it is stored', async () => {
  const on = await rig(() => {
    throw new Error(`no answer from https://user:pass@app.example/hook?token=abc with ${on.secret}`)
  })
  await on.deliver(on.reducto.addJob())
  const [row] = (await on.inbox.list({}, { limit: 1 })).rows
  expect(row!.reason!.message).toBe('no answer from https://app.example/hook with [secret]')
})

it('a store that loses sight of a result for a moment does not have it fetched again, whatever failed before', async () => {
  let calls = 0
  const on = await rig(() => {
    if (++calls <= 4) throw new Error('down')
  })
  const jobId = on.reducto.addJob({ kind: 'classify' })
  let last = await on.deliver(jobId)
  for (let attempt = 2; attempt <= 4; attempt++) last = await on.next(last)
  const { record } = on.results
  on.results.record = async () => null
  last = await on.next(last)
  expect(last).toMatchObject({ stage: 'hand_over', outcome: { is: 'retry', reason: { code: 'result_not_saved' } } })
  on.results.record = record
  expect(await on.next(last)).toMatchObject({ stage: 'hand_over', state: 'done' })
  expect(on.reducto.fetches.get(jobId)).toBe(1)
})

it('a result that is gone for good is fetched again', async () => {
  const on = await rig(() => {
    throw new Error('down')
  })
  const jobId = on.reducto.addJob({ kind: 'classify' })
  let last = await on.deliver(jobId)
  rmSync(join(on.folder, 'results', jobId), { recursive: true })
  while (last.outcome.is === 'retry') last = await on.next(last)
  expect(last).toMatchObject({ stage: 'hand_over', outcome: { is: 'unsaved' }, state: 'queued' })
  await on.next(last)
  expect(on.reducto.fetches.get(jobId)).toBe(2)
})

it('trouble at Reducto never holds up what is saved', async () => {
  const taken: string[] = []
  let isDown = true
  const on = await rig((result) => {
    if (isDown) throw new Error('down')
    taken.push(result.record.job_id)
  })
  const saved = on.reducto.addJob()
  const first = await on.deliver(saved)
  on.reducto.setAccountFault({ is: 'status', status: 401 })
  const paused = event(on.events, 'paused')
  await on.inbox.accept(delivery(on.reducto.addJob()))
  expect(await paused).toMatchObject({ cause: 'reducto_auth' })
  isDown = false
  const done = event(on.events, 'settled', ({ jobId }) => jobId === saved)
  on.clock.advance(first.dueAt - on.clock.now())
  expect(await done).toMatchObject({ state: 'done' })
  expect(taken).toEqual([saved])
})

it('a handler that hangs for many jobs leaves half of the slots to new ones once they are retries', async () => {
  const slow = new Set<string>()
  const on = await rig(
    (result, { signal }) => {
      if (!slow.has(result.record.job_id)) return undefined
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late'))))
    },
    { WORKER_CONCURRENCY: '4', HANDLER_TIMEOUT: '1s' },
  )
  const jobs = Array.from({ length: 4 }, () => on.reducto.addJob({ kind: 'classify' }))
  for (const jobId of jobs) slow.add(jobId)
  let failed = 0
  const allFailed = new Promise<void>((resolve) => {
    on.events.on('settled', ({ outcome }) => outcome.is === 'retry' && ++failed === jobs.length && resolve())
  })
  for (const jobId of jobs) await on.inbox.accept(delivery(jobId))
  await allFailed
  on.clock.advance(10 * MINUTE)
  const healthy = on.reducto.addJob({ kind: 'classify' })
  expect(await on.deliver(healthy).then(async (first) => (first.jobId === healthy ? first : null))).toMatchObject({
    state: 'done',
  })
})
