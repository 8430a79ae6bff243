import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeDocument } from '../../src/simulator/documents/documents.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { PROBE_EVERY_MS } from '../../src/worker/gate.ts'
import { faultyS3 } from '../support/faulty-s3.ts'
import { delivery, event } from '../support/service.ts'
import { growDisk, smallDisk } from '../support/small-disk.ts'
import { tempFolder } from '../support/temp.ts'
import { deliver, nextAttempt, type Rig, ready, rig, settled, through } from './rig.ts'

/** What is wrong with one result stops no other: it fails alone, with a reason of its own. */

const MIB = 1024 * 1024
const MINUTE = 60_000
/** For so long a look at the store is trusted. */
const STORE_CHECK_MS = 10_000
const READY = { status: 200, body: { status: 'ready' } }

describe('a result that does not fit on the disk', () => {
  /** A disk of 4 MiB, of which 1.5 MB must stay free. */
  async function onSmallDisk() {
    const disk = smallDisk(4)
    if (disk === null) return null
    return { disk, on: await rig({ RESULTS_URL: `file:${disk}/results`, MIN_FREE_DISK: '1500kb' }) }
  }

  /** A parse whose result takes 2.75 MiB, and what stands beside it another 2. */
  function addLargeJob(on: Rig): string {
    const id = `large-${Math.random().toString(36).slice(2)}`
    return on.reducto.addJob({
      id,
      document(storage) {
        const document = makeDocument('parse-url', id, storage)
        const chunks = { type: 'full', chunks: [{ content: 'x'.repeat(2.75 * MIB), blocks: [] }] }
        storage.put(`${id}/result.json`, { contentType: 'application/json', body: Buffer.from(JSON.stringify(chunks)) })
        storage.put(`${id}/document.pdf`, { contentType: 'application/pdf', body: Buffer.alloc(2 * MIB, 'x') })
        return document
      },
    })
  }

  /** What still takes room beside the saved results. */
  const draftsOn = (disk: string) => readdirSync(join(disk, 'results', '.tmp'))

  it('is tried again on its own; others are saved meanwhile, and so is it when there is room', async (context) => {
    const test = await onSmallDisk()
    if (test === null) return context.skip('cannot mount')
    const { disk, on } = test
    let last = await deliver(on, addLargeJob(on))
    for (let attempt = 1; attempt <= 2; attempt++) {
      expect(last).toMatchObject({ state: 'queued', attempt, outcome: { is: 'retry', reason: { code: 'disk' } } })
      expect(draftsOn(disk)).toEqual([])
      expect(await ready(on)).toEqual(READY)
      expect(await deliver(on, on.reducto.addJob())).toMatchObject({ state: 'done' })
      if (attempt === 1) last = await nextAttempt(on, last)
    }
    growDisk(disk, 32)
    expect(await nextAttempt(on, last)).toMatchObject({ state: 'done', attempt: 3 })
    expect(await on.results.record(last.jobId, new AbortController().signal)).toMatchObject({ complete: true })
  })

  it('holds up others no longer than it takes room', async (context) => {
    const test = await onSmallDisk()
    if (test === null) return context.skip('cannot mount')
    const { on } = test
    const [full, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    async function* pieces() {
      yield Buffer.alloc(3 * MIB, 'x')
      full.resolve()
      await go.promise
      yield Buffer.alloc(3 * MIB, 'x')
    }
    const large = on.reducto.addJob({
      id: 'large',
      document(storage) {
        const document = makeDocument('edit', 'large', storage)
        storage.put('large/edited.pdf', { contentType: 'application/pdf', body: pieces })
        return document
      },
    })
    const failed = settled(on, large)
    await on.inbox.accept(delivery(large, { at: on.clock.now() }))
    await full.promise
    // What was sent has been written when so much room is gone.
    await expect.poll(() => on.results.check(new AbortController().signal).catch(() => 'full')).toBe('full')
    const small = on.reducto.addJob()
    const paused = event(on.events, 'paused')
    on.clock.advance(STORE_CHECK_MS)
    await on.inbox.accept(delivery(small, { at: on.clock.now() }))
    expect(await paused).toMatchObject({ cause: 'disk' })
    go.resolve()
    expect(await failed).toMatchObject({ outcome: { is: 'retry', reason: { code: 'disk' } } })
    // It is due again by then, and must not be in the way a second time.
    on.reducto.fail(large, { is: 'status', status: 500 })
    const done = settled(on, small)
    await on.clock.sleeping(PROBE_EVERY_MS)
    on.clock.advance(PROBE_EVERY_MS)
    expect(await done).toMatchObject({ state: 'done', attempt: 1 })
  })

  it('is tried again on its own too when it is a side file that comes later', async (context) => {
    const test = await onSmallDisk()
    if (test === null) return context.skip('cannot mount')
    const { disk, on } = test
    const jobId = on.reducto.addJob({
      id: 'large-figure',
      document(storage) {
        const document = makeDocument('parse', 'large-figure', storage)
        storage.put('large-figure/figure.png', { contentType: 'image/png', body: Buffer.alloc(5 * MIB, 'x') })
        return document
      },
    })
    on.reducto.storage.fail(`${jobId}/figure.png`, ...Array.from({ length: 4 }, () => ({ status: 500 })))
    expect(await deliver(on, jobId)).toMatchObject({ state: 'done', outcome: { missing: 1 } })
    const failed = await trySideFiles(on)
    expect(failed).toMatchObject({ jobId, missing: null, again: expect.any(Number) })
    expect(draftsOn(disk)).toEqual([])
    const [attempt] = (await on.inbox.get(jobId))!.attempts
    expect(attempt).toMatchObject({ task: 'side_files', outcome: 'retry', reason: { code: 'disk' } })
    expect(await ready(on)).toEqual(READY)
    expect(await deliver(on, on.reducto.addJob())).toMatchObject({ state: 'done' })
    growDisk(disk, 32)
    expect(await trySideFiles(on)).toMatchObject({ jobId, missing: 0, again: null })
  })
})

/** Moves time until side files have been tried. */
async function trySideFiles(on: Rig) {
  const tried = event(on.events, 'sideFiles')
  await on.clock.sleeping(1_000)
  on.clock.advance(10 * MINUTE)
  return through(on, tried)
}

describe('a saved result that the store does not give', () => {
  const HANDLER = `
    const seen = new Set()
    export default ({ record }) => {
      // The first call for each job fails.
      if (seen.has(record.job_id)) return
      seen.add(record.job_id)
      throw new Error('not yet')
    }
  `

  /** Results in a bucket that refuses to give what is named. */
  async function onBucket(env: Record<string, string> = {}) {
    const s3 = await faultyS3()
    const endpoint = encodeURIComponent(s3.endpoint)
    const on = await rig({ RESULTS_URL: `s3://results/p?region=eu-central-1&endpoint=${endpoint}`, ...env })
    const refuse = (jobId: string) =>
      s3.fail(({ operation, key }) =>
        operation === 'GetObject' && key.includes(`p/${jobId}/`)
          ? { status: 403, code: 'AccessDenied', message: 'not for this one' }
          : undefined,
      )
    return { on, refuse, give: () => s3.fail(() => undefined) }
  }

  const REFUSED = { is: 'retry', reason: { code: 'results', message: expect.stringContaining('not for this one') } }

  it('is handed over when it can be read; others are meanwhile', async () => {
    const handler = join(tempFolder(), 'handler.mjs')
    writeFileSync(handler, HANDLER)
    const { on, refuse, give } = await onBucket({ HANDLER: handler })
    const jobId = on.reducto.addJob({ kind: 'classify' })
    const handed = event(on.events, 'settled', ({ stage }) => stage === 'hand_over')
    await deliver(on, jobId)
    let last = await handed
    expect(last).toMatchObject({ state: 'queued', outcome: { reason: { message: 'not yet' } } })
    refuse(jobId)
    // As often as it takes to call a handler broken: this one is not.
    for (let time = 1; time <= 6; time++) {
      last = await nextAttempt(on, last)
      expect(last).toMatchObject({ jobId, stage: 'hand_over', state: 'queued', outcome: REFUSED })
    }
    expect(await ready(on)).toEqual(READY)
    const other = on.reducto.addJob({ kind: 'classify' })
    const first = event(on.events, 'settled', (one) => one.jobId === other && one.stage === 'hand_over')
    await deliver(on, other)
    expect(await nextAttempt(on, await first)).toMatchObject({ jobId: other, state: 'done' })
    give()
    const done = event(on.events, 'settled', (one) => one.jobId === jobId && one.state === 'done')
    on.clock.advance(60 * MINUTE)
    expect(await done).toMatchObject({ stage: 'hand_over', calls: 0 })
  })

  it('is looked for again before it is fetched; others are fetched meanwhile', async () => {
    const { on, refuse, give } = await onBucket()
    const jobId = on.reducto.addJob({ kind: 'classify' })
    refuse(jobId)
    const first = await deliver(on, jobId)
    expect(first).toMatchObject({ stage: 'fetch', state: 'queued', outcome: REFUSED })
    expect(await ready(on)).toEqual(READY)
    expect(await deliver(on, on.reducto.addJob({ kind: 'classify' }))).toMatchObject({ state: 'done' })
    give()
    expect(await nextAttempt(on, first)).toMatchObject({ state: 'done', attempt: 2 })
  })
})

describe('an answer that the scanner cannot read', () => {
  const deep = `{"status":"Completed","result":${'['.repeat(600)}${']'.repeat(600)}}`
  it.each([
    ['is nested too deep', [deep], { is: 'dead', reason: { code: 'too_complex' } }],
    [
      'is no JSON, and another one each time',
      ['{"status":', '<html>'],
      { is: 'retry', reason: { code: 'unreadable' } },
    ],
    ['is an array', ['[]'], { is: 'retry' }],
  ])('fails alone, with a reason of its own: it %s', async (_name, bodies, outcome) => {
    const on = await rig()
    const jobId = on.reducto.addJob()
    on.reducto.fail(jobId, ...bodies.map((body) => ({ is: 'body', body }) as const))
    expect(await deliver(on, jobId)).toMatchObject({ outcome })
    expect(await ready(on)).toEqual(READY)
    expect(await deliver(on, on.reducto.addJob())).toMatchObject({ state: 'done' })
  })
})

describe('side files of a result that was saved by a process that died before it could say so', () => {
  it('are tried again after the next start', async () => {
    const before = await rig({}, { store: 'sqlite' })
    const jobId = before.reducto.addJob({ kind: 'parse' })
    before.reducto.storage.fail(`${jobId}/figure.png`, ...Array.from({ length: 4 }, () => ({ status: 500 })))
    before.inbox.settle = () => Promise.reject(new Error('the process is as good as dead'))
    before.inbox.stopAsked = async () => {}
    const saved = event(before.events, 'failing')
    await before.inbox.accept(delivery(jobId))
    expect(await through(before, saved)).toMatchObject({ what: `settle ${jobId}` })
    await before.stop()
    const events = createEvents()
    const done = event(events, 'settled')
    const after = await rig({}, { reducto: before.reducto, folder: before.folder, events, store: 'sqlite' })
    expect(await done).toMatchObject({ jobId, state: 'done', calls: 0, outcome: { missing: 1 } })
    expect(await trySideFiles(after)).toMatchObject({ jobId, missing: 0, again: null })
  })
})
