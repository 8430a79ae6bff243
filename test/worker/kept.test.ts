import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { delivery, event, signed, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'
import { deliver, record, rig, settled, through } from './rig.ts'

/** What the inbox keeps of the worker's attempts, and what the worker does when the inbox keeps less. */

it('an attempt tells what it did: round, calls, files, bytes, and where the time went', async () => {
  const folder = tempFolder()
  const handler = join(folder, 'handler.mjs')
  writeFileSync(handler, 'export default () => {}')
  const on = await rig({ HANDLER: handler })
  const jobId = on.reducto.addJob({ kind: 'parse-url' })
  const done = event(on.events, 'settled', ({ state }) => state === 'done')
  await deliver(on, jobId)
  await through(on, done)
  const [handedOver, fetched] = (await on.inbox.get(jobId))!.attempts
  const saved = record(on, jobId)
  expect(fetched).toMatchObject({
    ...{ task: 'fetch', round: 1, calls: 1, files: saved.files.count, bytes: saved.job.bytes + saved.files.bytes },
    ...{ fetchMs: expect.any(Number), saveMs: expect.any(Number), handOverMs: null },
  })
  expect(handedOver).toMatchObject({
    ...{ task: 'hand_over', round: 1, calls: null, files: null, bytes: null },
    ...{ fetchMs: null, saveMs: null, handOverMs: expect.any(Number) },
  })
})

it('a job whose body is past its retention is fetched anew, and its record keeps the metadata', async () => {
  const on = await rig()
  const jobId = on.reducto.addJob({ kind: 'parse' })
  const first = settled(on, jobId)
  await on.inbox.accept(delivery(jobId, { at: on.clock.now(), metadata: { customer: 'c-7' } }))
  await through(on, first)
  on.clock.advance(1_000)
  expect(await on.inbox.pruneBodies(on.clock.now())).toBe(1)
  const second = settled(on, jobId)
  await on.inbox.requeue({ jobId }, { refetch: true })
  await through(on, second)
  expect(record(on, jobId)).toMatchObject({ round: 2, metadata: { customer: 'c-7' } })
})

it('what happens is counted by the minute, and is there after the service has ended', async () => {
  const reducto = await testReducto()
  const folder = tempFolder()
  const on = await rig({}, { reducto, folder, store: 'sqlite' })
  const at = on.clock.now()
  const { body } = delivery(reducto.addJob({ kind: 'parse' }))
  const headers = signed(on.secret, body, undefined, new Date(on.clock.now()))
  expect((await fetch(`${on.url}/webhook`, { method: 'POST', body, headers })).status).toBe(200)
  const stopping = on.stop()
  on.clock.advance(60_000)
  await stopping
  const again = await rig({}, { reducto, folder, store: 'sqlite' })
  const spans = await again.inbox.minutes(at - 60_000, at + 60_000)
  expect(spans.reduce((sum, { counts }) => sum + (counts.accepted ?? 0), 0)).toBe(1)
})
