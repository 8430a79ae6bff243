import { expect, it } from 'vitest'
import { testPostgres } from '../../support/postgres.ts'
import { delivery } from '../../support/service.ts'
import { newSchema, openReplica } from './support.ts'

const server = testPostgres()

/** No text of PostgreSQL holds the first, and no UTF-8 the second and third. */
it.each(['\0', '\ud800', 'a\udc00b\0'])(
  'takes %j wherever a text enters, and finds nothing but what is there',
  async (odd) => {
    const { inbox } = await openReplica({ url: server.url, schema: newSchema(), settings: { RETENTION: odd } })
    await inbox.accept(delivery('job-1', { metadata: { [odd]: odd } }))
    await inbox.accept({ ...delivery('', { svixId: 'msg_other' }), content: { is: 'ignored' } })
    const page = { limit: 9 }
    const nothing = [
      inbox.list({ jobId: odd }, page),
      inbox.list({ jobIds: [odd] }, page),
      inbox.list({ cause: odd }, page),
      inbox.list({ code: odd, error: odd, type: odd, endpoint: odd, status: odd }, page),
      inbox.deliveries({ endpoint: odd, q: odd }, page),
    ]
    for (const { rows } of await Promise.all(nothing)) expect(rows).toEqual([])
    expect((await inbox.list({ metadata: [{ path: [odd], value: odd }] as never }, page)).rows.length).toBeLessThan(2)
    await inbox.list({ q: odd }, page)
    await inbox.list({ q: `${odd}:${odd}` }, page)
    await inbox.oldest({ q: odd, error: odd })
    expect(await inbox.get(odd)).toBeNull()
    expect(await inbox.bodies([odd])).toEqual([null])
    expect(await inbox.delivery(odd)).toBeNull()
    expect(await inbox.idsFrom('job', odd, 9)).toEqual([])
    expect(await inbox.idsFrom('delivery', odd, 9)).toEqual([])
    expect(await inbox.reread(odd, { is: 'ignored' })).toBe('unknown')
    expect(await inbox.reread('msg_other', { is: 'job', jobId: `new${odd}`, status: odd })).toBe('job')
    expect(await inbox.eraseDelivery(odd)).toBe(false)
    expect(await inbox.erase(odd)).toBe('unknown')
    expect(await inbox.requeue({ jobId: odd })).toBe(0)
    expect(await inbox.requeue({ jobIds: [odd, 'job-1'] })).toBe(1)
    expect(await inbox.expect(`exp${odd}`, { endpoint: odd, metadata: { [odd]: odd }, by: odd })).toBe('expected')
    expect(await inbox.missed(`exp${odd}`, { status: odd, endpoint: odd })).toBe('queued')
    const action = { who: odd, role: 'cli', what: 'retry', filter: { error: odd }, count: 1, ids: [odd] } as const
    const number = await inbox.note(action as never)
    expect((await inbox.actions(page)).rows).toHaveLength(1)
    expect(await inbox.erase('job-1', number)).toBe('erased')
    await inbox.count([{ at: 60_000, counts: { [odd]: 1 } }] as never)
    await inbox.pause(true, odd)
    expect((await inbox.service()).pause).toMatchObject({ reason: expect.any(String) })
    expect(await inbox.replicas()).toHaveLength(1)
    expect(await inbox.lost([{ jobId: odd, task: 'fetch', token: 1 }])).toHaveLength(1)
  },
)
