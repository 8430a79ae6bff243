import { describe, expect, it, onTestFinished } from 'vitest'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { listDeliveries, rereadDeliveries, showDelivery } from '../../src/operations/deliveries.ts'
import { contentOf } from '../../src/receive/parse.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, places } from '../support/service.ts'

/** An inbox with deliveries that were taken for something else when they came, and one of a job. */
async function recorded() {
  const clock = createManualClock()
  const ledger = openMemory({ clock })
  onTestFinished(() => ledger.close())
  const keep = (svixId: string, body: string, content: { is: 'ignored' } | { is: 'rejected'; reason: string }) =>
    ledger.accept({ ...delivery('', { svixId }), body, content })
  await keep('msg_ignored', '{"job_id":"job-1","status":"Completed"}', { is: 'ignored' })
  await keep('msg_rejected', '{"job_id":"job-2","status":"Completed"}', { is: 'rejected', reason: 'not understood' })
  await keep('msg_ping', '{"success":true}', { is: 'ignored' })
  await keep('msg_long', `{"text":"${'x'.repeat(5_000)}"}`, { is: 'ignored' })
  await ledger.accept(delivery('job-3', { svixId: 'msg_job' }))
  return { ledger, deps: { ledger, contentOf } }
}

describe('deliveries that are read again', () => {
  it('queue the jobs that they name now, all of them in one call, and none of them twice', async () => {
    const { ledger, deps } = await recorded()
    const cut = { id: 'msg_long', why: 'only the start of its body is kept: press Resend in Svix' }
    const result = { is: 'done', dryRun: false, unchanged: 1, skipped: [cut] }
    expect(await rereadDeliveries(deps, { filter: {} })).toEqual({ ...result, queued: 2 })
    expect((await ledger.claim('fetch', places(9))).map(({ jobId }) => jobId).sort()).toEqual([
      'job-1',
      'job-2',
      'job-3',
    ])
    expect(await rereadDeliveries(deps, { filter: {} })).toEqual({ ...result, queued: 0 })
  })

  it('are only counted in a dry run', async () => {
    const { ledger, deps } = await recorded()
    const filter = { disposition: 'rejected' } as const
    expect(await rereadDeliveries(deps, { filter, dryRun: true })).toMatchObject({ queued: 1, unchanged: 0 })
    expect(await ledger.get('job-2')).toBeNull()
  })

  it('say of each that is named why it was left alone', async () => {
    const { deps } = await recorded()
    const ids = ['msg_rej', 'msg_job', 'msg_nobody', 'msg_']
    expect(await rereadDeliveries(deps, { ids })).toEqual({
      ...{ is: 'done', dryRun: false, queued: 1, unchanged: 0 },
      skipped: [
        { id: 'msg_nobody', why: 'there is no such delivery' },
        { id: 'msg_', why: expect.stringContaining('more than one delivery begins with msg_') },
        { id: 'msg_job', why: 'concerns job job-3 already: retry that one' },
      ],
    })
  })
})

it('deliveries are listed with why they were rejected, and shown with their body', async () => {
  const { deps } = await recorded()
  const { rows } = await listDeliveries(deps, { disposition: 'rejected' }, { limit: 9 })
  expect(rows).toMatchObject([{ svixId: 'msg_rejected', note: 'not understood' }])
  expect(await showDelivery(deps, 'msg_pin')).toMatchObject({ delivery: { body: '{"success":true}' } })
  expect(await showDelivery(deps, 'msg_x')).toMatchObject({ is: 'refused', code: 'unknown' })
})
