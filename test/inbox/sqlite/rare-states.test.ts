import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { JobFilter } from '../../../src/inbox/inbox.ts'
import { createQueries } from '../../../src/inbox/sqlite/queries.ts'
import { openForWriting } from '../../../src/inbox/sqlite/schema.ts'
import { STEP_ROWS } from '../../../src/inbox/sqlite/walk.ts'
import { tempFolder } from '../../support/temp.ts'

/** Jobs in a state that few are in are found by an index of that state, and not by a walk over all jobs. */

const OTHERS = 20_000
const DEAD = 3 + STEP_ROWS

/** Many done jobs, with an expected one, a running one and dead ones before all of them. */
function open(dead = 3) {
  const db: DatabaseSync = openForWriting(join(tempFolder(), 'receiver.db'), { migrate: true })
  onTestFinished(() => db.close())
  const insert = (state: string, count: number) =>
    db.exec(`
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO job (job_id, state, endpoint, due_at, created_at, queued_at, updated_at, reason_code, reason_message, cause)
      SELECT '${state}-' || i, '${state}', 'default', 0, i, i, i, 'x', 'bad ' || i, ${state === 'dead' ? `'x: bad #'` : 'NULL'} FROM n`)
  insert('expected', 1)
  insert('running', 1)
  insert('dead', dead)
  insert('done', OTHERS)
  return db
}

/** What SQLite does for each statement that reads jobs while `work` runs. */
function plansOf(db: DatabaseSync, work: (queries: ReturnType<typeof createQueries>) => void): string[] {
  const queries = createQueries(db, null)
  const prepared: string[] = []
  const prepare = db.prepare.bind(db)
  db.prepare = (sql) => {
    prepared.push(sql)
    return prepare(sql)
  }
  work(queries)
  return prepared.flatMap((sql) =>
    (prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) => detail),
  )
}

const FILTERS: [string, JobFilter, string][] = [
  ['expected jobs', { state: 'expected' }, 'job_expected'],
  ['running jobs', { state: 'running' }, 'job_running'],
  ['dead jobs', { state: 'dead' }, 'job_dead'],
  ['dead jobs with more to them', { state: 'dead', code: 'x', endpoint: 'default', until: 9_999 }, 'job_dead'],
  ['jobs of a cause', { cause: 'x: bad #' }, 'job_dead'],
  ['dead jobs of a cause', { state: 'dead', cause: 'x: bad #' }, 'job_dead'],
]

describe.each(FILTERS)('%s', (_name, filter, index) => {
  it('are read from their index', () => {
    const db = open()
    const plans = plansOf(db, (queries) => {
      expect(queries.list(filter, { limit: 10 }).rows.length).toBeGreaterThan(0)
      expect(queries.oldest(filter, 0).row).not.toBeNull()
      queries.requeueable(filter, null)
    })
    expect(plans.length).toBeGreaterThanOrEqual(3)
    for (const plan of plans) expect(plan).toMatch(new RegExp(`^(SEARCH|SCAN) job USING (COVERING )?INDEX ${index}\\b`))
  })

  it('are found at once, wherever they stand, and all of them', () => {
    const { list, oldest } = createQueries(open(), null)
    const found = list(filter, { limit: 10 })
    expect(found).toMatchObject({ next: null, searchedTo: null })
    expect(found.rows).toHaveLength(index === 'job_dead' ? 3 : 1)
    expect(oldest(filter, 0).row?.jobId).toMatch(/-1$/)
    expect(oldest({ ...filter, code: 'none' }, 0)).toEqual({ row: null, next: null })
  })
})

describe('very many dead jobs', () => {
  it('are walked in steps, each once', () => {
    const { list, requeueable } = createQueries(open(DEAD), null)
    const ids: string[] = []
    let cursor: string | null | undefined
    do {
      const page = list({ state: 'dead' }, { limit: 500, ...(cursor ? { cursor } : {}) })
      ids.push(...page.rows.map(({ jobId }) => jobId))
      cursor = page.next
    } while (cursor !== null)
    expect(ids).toEqual(Array.from({ length: DEAD }, (_, index) => `dead-${DEAD - index}`))
    const seqs: number[] = []
    let next: number | null = null
    do {
      const part = requeueable({ state: 'dead' }, next)
      seqs.push(...part.seqs)
      next = part.next
    } while (next !== null)
    expect(new Set(seqs).size).toBe(DEAD)
  })
})
