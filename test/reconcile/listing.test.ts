import { describe, expect, it } from 'vitest'
import { reconcileListing } from '../../src/reconcile/listing.ts'
import { ReductoError } from '../../src/reducto/errors.ts'
import type { ListJobs } from '../../src/reducto/list-jobs.ts'
import { delivery } from '../support/service.ts'
import { HOUR, reconcileRig } from './rig.ts'

async function rig() {
  const parts = await reconcileRig()
  const { signal } = new AbortController()
  const run = (more: { all?: boolean; dryRun?: boolean; since?: number; listJobs?: ListJobs } = {}) => {
    const { listJobs = parts.listJobs, ...options } = more
    const deps = { ledger: parts.inbox, listJobs, fetchStatus: parts.fetchStatus }
    return reconcileListing(deps, { all: false, dryRun: false, since: 0, ...options }, signal)
  }
  return { ...parts, run }
}

/** Lists these jobs in this order, two a page. */
const listed =
  (...ids: readonly string[]): ListJobs =>
  async ({ cursor }) => {
    const at = Number(cursor ?? 0)
    const jobs = ids.slice(at, at + 2).map((jobId) => ({ jobId, status: 'Completed', createdAt: null }))
    return { jobs, next: at + 2 < ids.length ? String(at + 2) : null }
  }

describe('reconcile', () => {
  it('queues registered jobs that ended, once, and no others', async () => {
    const { run, submit, reducto, inbox } = await rig()
    await submit('completed', 'Completed')
    await submit('failed', 'Failed')
    await submit('pending')
    reducto.addJob({ id: 'stranger' })
    expect(await run({ dryRun: true })).toMatchObject({ queued: ['failed', 'completed'], processing: 1 })
    expect((await inbox.stats()).jobs).toMatchObject({ expected: 3 })
    expect(await run()).toMatchObject({ queued: ['failed', 'completed'], processing: 1, incomplete: null })
    expect(await run()).toMatchObject({ queued: [], processing: 1 })
    expect((await inbox.stats()).jobs).toMatchObject({ expected: 1, queued: 2 })
  })

  it('takes with all every finished job that is not here, and leaves known ones as they are', async () => {
    const { run, submit, reducto, inbox, stateOf } = await rig()
    await submit('registered', 'Completed')
    for (const id of ['stranger', 'delivered']) reducto.addJob({ id })
    reducto.addJob({ id: 'running', status: 'Pending' })
    await inbox.accept(delivery('delivered'))
    expect([...(await run({ all: true })).queued].sort()).toEqual(['registered', 'stranger'])
    expect(await stateOf('running')).toBeUndefined()
    expect((await inbox.get('delivered'))!.deliveries).toHaveLength(1)
    expect(await run({ all: true })).toMatchObject({ queued: [] })
  })

  it('goes back as far as it is told, whatever the order', async () => {
    const { run, submit, clock } = await rig()
    await submit('old', 'Completed')
    clock.advance(HOUR)
    await submit('new', 'Completed')
    const now = clock.now()
    expect(await run({ since: now - HOUR / 2, listJobs: listed('old', 'x', 'y', 'new') })).toMatchObject({
      queued: ['new'],
    })
    const dated: ListJobs = async () => ({
      jobs: [
        { jobId: 'ancient', status: 'Completed', createdAt: now - HOUR },
        { jobId: 'fresh', status: 'Completed', createdAt: now },
        { jobId: 'undated', status: 'Completed', createdAt: null },
      ],
      next: null,
    })
    expect(await run({ all: true, since: now - HOUR / 2, listJobs: dated })).toMatchObject({
      queued: ['fresh', 'undated'],
    })
  })

  it('finds a registered job that the listing leaves out, and one that Reducto has no more', async () => {
    const { run, submit, reducto, inbox } = await rig()
    await submit('left-out', 'Completed')
    reducto.purge(await submit('purged'))
    const result = await run({ listJobs: listed('x', 'y', 'z') })
    expect([...result.queued].sort()).toEqual(['left-out', 'purged'])
    expect(await inbox.get('purged')).toMatchObject({ state: 'queued', status: null })
  })

  it('reads a listing again that changed while it was read', async () => {
    const { run } = await rig()
    // While the first page is read a job goes, and all behind it move up by one: c is on no page of the first reading.
    let calls = 0
    const moving: ListJobs = async (query, signal) => {
      calls++
      return (calls === 1 ? listed('gone', 'a', 'c', 'd') : listed('a', 'c', 'd'))(query, signal)
    }
    const { queued } = await run({ all: true, listJobs: moving })
    expect([...queued].sort()).toEqual(['a', 'c', 'd', 'gone'])
  })

  it('takes each job once, on however many pages it is', async () => {
    const { run } = await rig()
    expect((await run({ all: true, listJobs: listed('a', 'b', 'b', 'a', 'c') })).queued).toEqual(['a', 'b', 'c'])
  })

  it('ends, and says so, when the listing turns in a circle', async () => {
    const { run } = await rig()
    const circle: ListJobs = async () => ({ jobs: [], next: 'same' })
    expect(await run({ all: true, listJobs: circle })).toMatchObject({
      incomplete: expect.stringContaining('same page'),
    })
  })

  it('tells what was queued when the listing ends with an error half-way', async () => {
    const { run, submit } = await rig()
    await submit('first', 'Completed')
    await submit('second', 'Completed')
    const pages = listed('first', 'x', 'second')
    const breaking: ListJobs = async (query, signal) => {
      if (query.cursor !== undefined) throw new ReductoError('failed', 'Reducto answered 502')
      return pages(query, signal)
    }
    const result = await run({ all: true, listJobs: breaking })
    expect([...result.queued].sort()).toEqual(['first', 'second', 'x'])
    expect(result.incomplete).toContain('502')
  })

  it('goes on after a job that Reducto has only an error for, and names it', async () => {
    const { run, submit, reducto } = await rig()
    for (const id of ['broken', 'pending', 'left-out']) await submit(id, id === 'left-out' ? 'Completed' : 'Pending')
    reducto.fail('broken', { is: 'status', status: 403, body: { detail: 'Not your job' } })
    expect(await run({ listJobs: listed('x') })).toMatchObject({
      ...{ queued: ['left-out'], processing: 1, unfinished: ['pending'] },
      incomplete: expect.stringMatching(/one expected job; the last: broken: .*403.*Not your job/),
    })
  })

  it('asks first for jobs that the listing leaves out, and takes its word for others only when they are too many', async () => {
    const { submit, inbox, reducto } = await rig()
    const names = Array.from({ length: 2_000 }, (_, n) => `listed-${n}`)
    for (const id of names) await inbox.expect(id, { by: 'test' })
    await submit('left-out', 'Completed')
    const listJobs: ListJobs = async () => ({
      jobs: names.map((jobId) => ({ jobId, status: 'Pending', createdAt: null })),
      next: null,
    })
    const deps = {
      ledger: inbox,
      listJobs,
      fetchStatus: async (jobId: string) =>
        jobId === 'left-out'
          ? { is: 'ended' as const, status: 'Completed' }
          : { is: 'processing' as const, status: 'Pending' },
    }
    const result = await reconcileListing(deps, { since: 0, all: false, dryRun: true }, new AbortController().signal)
    expect(result).toMatchObject({ queued: ['left-out'], processing: 2_000, incomplete: null })
    expect(reducto.fetches.size).toBe(0)
  })

  it('finds jobs that were registered while the clock was ahead', async () => {
    const { run, submit, clock } = await rig()
    clock.jump(HOUR)
    await submit('ahead', 'Completed')
    clock.jump(-HOUR)
    expect(await run()).toMatchObject({ queued: ['ahead'] })
  })

  it('fails with Reducto’s words when the account is refused', async () => {
    const { run, submit, reducto } = await rig()
    await submit('job-1', 'Completed')
    reducto.setAccountFault({ is: 'status', status: 401, body: { detail: 'Invalid API key' } })
    await expect(run()).rejects.toThrow(ReductoError)
  })
})
