import { describe, expect, it } from 'vitest'
import { showProgress } from '../../src/cli/progress.ts'
import type { JobPage, JobRow, Ledger } from '../../src/inbox/inbox.ts'
import { allJobs, wholePage } from '../../src/operations/walk.ts'

const row = (jobId: string) => ({ jobId }) as JobRow

/** An inbox of `total` places, job-1 the newest, that looks at two of them a call; jobs are at every `every`th place. */
function inbox(total: number, every: number) {
  const limits: number[] = []
  const list: Ledger['list'] = async (_filter, { limit, cursor }): Promise<JobPage> => {
    limits.push(limit)
    const rows: JobRow[] = []
    let at = Number(cursor ?? 1)
    for (const end = at + 2; at < end && at <= total && rows.length < limit; at++)
      if (at % every === 0) rows.push(row(`job-${at}`))
    return at <= total ? { rows, next: String(at), searchedTo: 1_000_000 - at } : { rows, next: null, searchedTo: null }
  }
  return { list, limits }
}

const ids = (rows: readonly JobRow[]) => rows.map(({ jobId }) => jobId)
const ignore = () => {}

describe('a page of the list', () => {
  it('is filled over pages of the inbox that are short or empty, and says where it goes on', async () => {
    const ledger = inbox(100, 5)
    const first = await wholePage((page) => ledger.list({}, page), { limit: 2 }, ignore)
    expect(ids(first.rows)).toEqual(['job-5', 'job-10'])
    expect(ledger.limits).toEqual([2, 2, 2, 1, 1])
    const second = await wholePage((page) => ledger.list({}, page), { limit: 2, cursor: first.next! }, ignore)
    expect(ids(second.rows)).toEqual(['job-15', 'job-20'])
  })

  it('is given as far as it is when there is no more time, and goes on from there', async () => {
    const ledger = inbox(100, 50)
    let looks = 3
    const page = { limit: 2, hasTime: () => --looks > 0 }
    const found = await wholePage((part) => ledger.list({}, part), page, ignore)
    expect(found).toEqual({ rows: [], next: '7', searchedTo: 1_000_000 - 7 })
  })

  it('is short only when all was searched', async () => {
    expect(await wholePage((page) => inbox(12, 5).list({}, page), { limit: 3 }, ignore)).toEqual({
      rows: [row('job-5'), row('job-10')],
      next: null,
      searchedTo: null,
    })
    expect(await wholePage((page) => inbox(9, 10).list({}, page), { limit: 3 }, ignore)).toEqual({
      rows: [],
      next: null,
      searchedTo: null,
    })
  })

  it('tells how far the search has come while it goes on', async () => {
    const searched: number[] = []
    await wholePage(
      (page) => inbox(6, 10).list({}, page),
      { limit: 1 },
      (at) => searched.push(at),
    )
    expect(searched).toEqual([999_997, 999_995])
  })
})

it('all jobs are found, over pages that are empty', async () => {
  const found = await Array.fromAsync(allJobs(inbox(21, 7), {}, ignore))
  expect(ids(found)).toEqual(['job-7', 'job-14', 'job-21'])
})

describe('the progress of a search', () => {
  function terminal(isTTY: boolean) {
    let text = ''
    const write = (more: string) => {
      text += more
    }
    return { isTTY, write, text: () => text }
  }

  it('is one line on a terminal, which is gone at the end', () => {
    const on = terminal(true)
    const progress = showProgress(on)
    progress.searched(1_000)
    progress.searched(0)
    progress.end()
    progress.end()
    const line = (time: string) => `\r\x1b[Ksearched back to ${time}`
    expect(on.text()).toBe(`${line('1970-01-01T00:00:01.000Z')}${line('1970-01-01T00:00:00.000Z')}\r\x1b[K`)
  })

  it('is nothing where there was no wait, and where nobody looks on', () => {
    const [quick, file] = [terminal(true), terminal(false)]
    showProgress(quick).end()
    const progress = showProgress(file)
    progress.searched(0)
    progress.end()
    expect([quick.text(), file.text()]).toEqual(['', ''])
  })
})
