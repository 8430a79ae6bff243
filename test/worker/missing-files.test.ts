import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { event } from '../support/service.ts'
import { deliver, MINUTE, nextAttempt, record, rig, settled, through, times, untilOver } from './rig.ts'

/** Links that have expired, and files that cannot be had. */

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
