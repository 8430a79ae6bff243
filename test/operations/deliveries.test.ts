import { describe, expect, it } from 'vitest'
import type { Content, DeliveryDetail, Ledger } from '../../src/inbox/inbox.ts'
import { listDeliveries, rereadDeliveries, showDelivery } from '../../src/operations/deliveries.ts'
import { contentOf } from '../../src/receive/parse.ts'
import { acting } from './support.ts'

const JOB = '{"job_id":"job-1","status":"Completed"}'

function one(svixId: string, disposition: Content['is'], body: string | null, jobId: string | null = null) {
  return {
    ...{ svixId, disposition, body, jobId, endpoint: 'default', status: null },
    ...{ receivedAt: 1, lastAt: 1, arrivals: 1 },
  } as DeliveryDetail
}

/** An inbox with these deliveries, which notes what is read again. */
function inbox(...all: readonly DeliveryDetail[]) {
  const reread: string[] = []
  const ledger: Pick<Ledger, 'idsFrom' | 'delivery' | 'deliveries' | 'reread' | 'note'> = {
    note: async () => 1,
    idsFrom: async (_kind, prefix) => all.map(({ svixId }) => svixId).filter((id) => id.startsWith(prefix)),
    delivery: async (id) => all.find(({ svixId }) => svixId === id) ?? null,
    deliveries: async ({ disposition }) => ({
      rows: all.filter((row) => disposition === undefined || row.disposition === disposition),
      next: null,
      searchedTo: null,
    }),
    async reread(id) {
      reread.push(id)
      return 'job'
    },
  }
  return { ledger, contentOf, reread, ...acting() }
}

describe('deliveries that are read again', () => {
  const all = [
    one('msg_job', 'job', JOB, 'job-1'),
    one('msg_now', 'ignored', JOB),
    one('msg_ping', 'ignored', '{"success":true}'),
    one('msg_bad', 'rejected', '[]'),
    one('msg_cut', 'rejected', `{"x":"${'y'.repeat(4_090)}`),
    one('msg_gone', 'ignored', null),
  ]

  it('are queued where they name a job now, and told where they cannot be read', async () => {
    const on = inbox(...all)
    expect(await rereadDeliveries(on, { filter: {} })).toEqual({
      ...{ is: 'done', dryRun: false, queued: 1, unchanged: 2 },
      skipped: [
        { id: 'msg_gone', why: 'has no body any more' },
        { id: 'msg_cut', why: 'only the start of its body is kept: press Resend in Svix' },
      ],
    })
    expect(on.reread).toEqual(['msg_now'])
  })

  it('are only counted in a dry run', async () => {
    const on = inbox(...all)
    expect(await rereadDeliveries(on, { filter: { disposition: 'ignored' }, dryRun: true })).toMatchObject({
      queued: 1,
    })
    expect(on.reread).toEqual([])
  })

  it('are none that concern a job already', async () => {
    expect(await rereadDeliveries(inbox(...all), { ids: ['msg_job', 'msg_x'] })).toMatchObject({
      queued: 0,
      skipped: [
        { id: 'msg_x', why: 'there is no such delivery' },
        { id: 'msg_job', why: 'concerns job job-1 already: retry that one' },
      ],
    })
  })
})

it('a rejected delivery is shown with what it lacks', async () => {
  const on = inbox(one('msg_bad', 'rejected', '[]'), one('msg_now', 'rejected', JOB), one('msg_job', 'job', JOB))
  const { rows } = await listDeliveries(on, {}, { limit: 9 })
  expect(rows.map(({ note }) => note)).toEqual([
    'not a JSON object',
    'it would be understood now: `deliveries retry`',
    null,
  ])
  expect(await showDelivery(on, 'msg_b')).toMatchObject({ delivery: { note: 'not a JSON object', body: '[]' } })
  expect(await showDelivery(on, 'msg_zzz')).toMatchObject({ is: 'refused', code: 'unknown' })
})
