import { describe, expect, it } from 'vitest'
import type { JobFilter, JobRow, Ledger, NewAction, Requeue } from '../../src/inbox/inbox.ts'
import { ERASED } from '../../src/job.ts'
import { replayJobs } from '../../src/operations/replay.ts'
import { retryJobs } from '../../src/operations/retry.ts'
import type { JobRecord } from '../../src/results/record.ts'
import { acting } from './support.ts'

const row = (jobId: string, more: Partial<JobRow> = {}) =>
  ({ jobId, state: 'dead', stage: 'fetch', reason: null, ...more }) as JobRow

/** An inbox with these jobs, which notes how it was asked to queue them. */
function inbox(jobs: readonly JobRow[]) {
  const actions: NewAction[] = []
  const calls: [filter: JobFilter, options: Requeue | undefined][] = []
  // The same filter is asked for page by page.
  let last: { filter: JobFilter; found: readonly JobRow[] } | null = null
  function matching(filter: JobFilter): readonly JobRow[] {
    const wanted = filter.jobIds && new Set(filter.jobIds)
    const isWanted = ({ jobId, state }: JobRow) =>
      (wanted?.has(jobId) ?? true) && (filter.state === undefined || filter.state === state)
    if (last?.filter !== filter) last = { filter, found: jobs.filter(isWanted) }
    return last.found
  }
  const ledger: Pick<Ledger, 'list' | 'idsFrom' | 'requeue' | 'note'> = {
    async list(filter, { limit, cursor }) {
      const matches = matching(filter)
      const from = Number(cursor ?? 0)
      const next = from + limit < matches.length ? String(from + limit) : null
      return { rows: matches.slice(from, from + limit), next, searchedTo: next === null ? null : 5 }
    },
    idsFrom: async (_kind, prefix) => jobs.map(({ jobId }) => jobId).filter((id) => id.startsWith(prefix)),
    async note(action) {
      return actions.push(action)
    },
    async requeue(filter, options) {
      calls.push([filter, options])
      return filter.jobIds!.length
    },
  }
  return { ledger, calls, actions, ...acting(), now: () => 1_000 }
}

const many = (count: number, more: Partial<JobRow> = {}) =>
  Array.from({ length: count }, (_, index) => row(`job-${String(index).padStart(6, '0')}`, more))

describe('a retry of many', () => {
  it('queues them in parts, each in its place among all, and tells how far it is', async () => {
    const on = inbox(many(1_200))
    const progress: [number, number][] = []
    const done = await retryJobs(on, {
      filter: { code: 'x' },
      onProgress: (...at) => progress.push(at),
    })
    expect(done).toMatchObject({ is: 'done', jobs: 1_200, dryRun: false, skipped: [], isMore: false })
    expect(on.calls.map(([filter, options]) => [filter.jobIds!.length, options!.part])).toEqual([
      [500, { first: 0, total: 1_200 }],
      [500, { first: 500, total: 1_200 }],
      [200, { first: 1_000, total: 1_200 }],
    ])
    // What was selected must still match when it is queued.
    expect(on.calls[0]![0]).toMatchObject({ state: 'dead', code: 'x', until: 1_000 })
    expect(progress).toEqual([
      [500, 1_200],
      [1_000, 1_200],
      [1_200, 1_200],
    ])
  })

  it('is paced as well when each is named', async () => {
    const on = inbox(many(600))
    await retryJobs(on, { ids: many(600).map(({ jobId }) => jobId) })
    expect(on.calls.map(([, options]) => options!.part)).toEqual([
      { first: 0, total: 600 },
      { first: 500, total: 600 },
    ])
  })

  it('is bound to now at the latest: what changes later was shown to nobody', async () => {
    const on = inbox(many(3))
    expect(await retryJobs(on, { filter: { code: 'x' }, until: 9_000_000, dryRun: true })).toMatchObject({
      until: 1_000,
    })
    await retryJobs(on, { filter: { code: 'x' }, until: 9_000_000 })
    await retryJobs(on, { ids: ['job-000001'], until: 900 })
    expect(on.calls.map(([filter]) => filter.until)).toEqual([1_000, 900])
  })

  it('does nothing in a dry run but name the first ten', async () => {
    const on = inbox(many(12))
    const shown = await retryJobs(on, { filter: {}, dryRun: true })
    expect(shown).toMatchObject({ jobs: 12, dryRun: true, until: 1_000 })
    expect(shown.is === 'done' && shown.named.map(({ jobId }) => jobId)).toEqual(many(10).map(({ jobId }) => jobId))
    expect(on.calls).toEqual([])
  })

  it('is never for more than was shown', async () => {
    const on = inbox(many(12))
    expect(await retryJobs(on, { filter: {}, expect: 11 })).toEqual({
      is: 'refused',
      code: 'changed',
      message: '12 jobs match, not 11: look at them again with a dry run; nothing was done',
      count: 12,
    })
    expect(on.calls).toEqual([])
    expect(await retryJobs(on, { filter: {}, expect: 12 })).toMatchObject({ jobs: 12 })
  })

  it('takes 100,000 in one call, and says that there are more', async () => {
    const on = inbox(many(100_001))
    expect(await retryJobs(on, { filter: {} })).toMatchObject({ jobs: 100_000, isMore: true })
    expect(await retryJobs(on, { filter: {}, expect: 200_000 })).toMatchObject({ code: 'changed' })
  })

  it('says of named ones why they are left alone, in the order in which the others were given', async () => {
    const jobs = [
      row('running', { state: 'running' }),
      row('erased', { state: 'done', reason: ERASED }),
      row('dead-1'),
      row('dead-2'),
    ]
    const on = inbox(jobs)
    expect(await retryJobs(on, { ids: ['nobody', 'dead-2', 'erased', 'running', 'dead-1'] })).toMatchObject({
      jobs: 2,
      skipped: [
        { id: 'nobody', why: 'there is no such job' },
        { id: 'erased', why: 'was erased, and cannot be queued again' },
        { id: 'running', why: 'is being worked on right now' },
      ],
    })
    expect(on.calls[0]![0].jobIds).toEqual(['dead-2', 'dead-1'])
  })
})

describe('a replay', () => {
  const record = (jobId: string, more: Partial<JobRecord> = {}) => ({ job_id: jobId, ...more }) as JobRecord
  const signal = new AbortController().signal
  const results = (records: readonly JobRecord[]) => ({
    record: async (jobId: string) => records.find(({ job_id }) => job_id === jobId) ?? null,
  })

  it('is refused where nothing would be called, with the cure', async () => {
    const on = inbox([row('a', { state: 'done' })])
    const refused = await replayJobs({ ...on, results: results([]), hasHandler: false }, { filter: {} }, signal)
    expect(refused).toMatchObject({ code: 'no_handler', message: expect.stringContaining('neither HANDLER nor') })
    expect(on.calls).toEqual([])
  })

  it('is for what is saved alone: nothing is fetched', async () => {
    const done = { state: 'done', stage: 'hand_over' } as const
    const on = inbox([row('lost', done), row('kept', done), row('given-up', done), row('kept-2', done)])
    const saved = results([
      record('kept'),
      record('kept-2'),
      record('given-up', { gave_up: { code: 'x', message: '' } }),
    ])
    const deps = { ...on, results: saved, hasHandler: true }
    expect(await replayJobs(deps, { filter: {}, expect: 2 }, signal)).toMatchObject({ jobs: 2, unsaved: 2 })
    expect(on.calls).toMatchObject([[{ state: 'done', jobIds: ['kept', 'kept-2'] }, { part: { first: 0, total: 2 } }]])
    expect(await replayJobs(deps, { filter: {}, expect: 1 }, signal)).toMatchObject({ code: 'changed' })
  })

  it('leaves a job alone that is still to be fetched', async () => {
    const on = inbox([row('queued', { state: 'queued', stage: 'fetch' })])
    const deps = { ...on, results: results([record('queued')]), hasHandler: true }
    expect(await replayJobs(deps, { ids: ['queued'] }, signal)).toMatchObject({
      jobs: 0,
      skipped: [{ id: 'queued', why: 'is still to be fetched, and is handed over then' }],
    })
  })
})
