import type { DatabaseSync } from 'node:sqlite'
import type { JobFilter, Page } from '../inbox.ts'
import { parseQuery } from '../search/query.ts'
import { createCandidates } from './candidates.ts'
import { createIndexReader, type IndexView } from './index-reader.ts'
import { JOB_COLUMNS, type JobTableRow, matching } from './rows.ts'
import { expressionOf } from './side-file.ts'
import type { Signals } from './signals.ts'
import { cursorOf, STEP_BODIES, walkDown } from './walk.ts'

/** What a step looks at first; then as many as fit: a body may have some bytes or a megabyte. */
const FIRST_STEP = 8
/** A step is to take between these, ms. */
const [QUICK_MS, SLOW_MS] = [4, 12]

/** Finds jobs by `q`, the newest first, as the walk without an index would: that only tells where there is nothing to look at. */
export function createFinder(db: DatabaseSync, signals: Signals | null) {
  const index = createIndexReader(db, signals)
  const candidates = createCandidates(db)
  const newest = db.prepare('SELECT MAX(seq) AS seq FROM job')
  const newestDelivery = db.prepare('SELECT MAX(seq) AS seq FROM delivery')

  function find(filter: JobFilter & { readonly q: string }, page: Page) {
    return index.using((view) => walk(filter, page, view))
  }

  function walk(filter: JobFilter & { readonly q: string }, page: Page, view: IndexView | null) {
    const before = cursorOf(page)
    const query = parseQuery(filter.q)
    if (query === null) return { rows: [], next: null }
    const { where, values } = matching(filter)
    const found = view
      ? candidates.find(query, { before, view, expression: expressionOf(query), q: values.q as string })
      : null
    const verify = db.prepare(
      `SELECT ${JOB_COLUMNS} FROM job WHERE seq IN (SELECT value FROM json_each(:seqs)) AND ${where} ORDER BY seq DESC LIMIT :limit`,
    )
    const all = db.prepare(
      `SELECT ${JOB_COLUMNS} FROM job WHERE seq < :before AND seq >= :from AND ${where} ORDER BY seq DESC LIMIT :limit`,
    )
    const pace = createPace(STEP_BODIES)
    return walkDown<JobTableRow>({
      ...{ before, enough: page.limit, newest: (newest.get() as { seq: number | null }).seq ?? 0 },
      stepFrom: (at) => found?.stepFrom(at, pace.size) ?? at - pace.size,
      read: (range) =>
        pace.timed(() => {
          if (found === null) return all.all({ ...values, ...range }) as unknown as JobTableRow[]
          const seqs = found.within(range)
          if (seqs.length === 0) return []
          return verify.all({ ...values, seqs: JSON.stringify(seqs), limit: range.limit }) as unknown as JobTableRow[]
        }),
    })
  }

  /** How many deliveries the index has not seen; null when there is none of this database. */
  function searchLag(): number | null {
    return index.using(
      (view) => view && Math.max(((newestDelivery.get() as { seq: number | null }).seq ?? 0) - view.indexed, 0),
    )
  }

  return { find, searchLag }
}

/** How much a step looks at, by how long the last one took. */
function createPace(most: number) {
  let size = FIRST_STEP
  return {
    get size() {
      return size
    },
    timed<T>(run: () => T): T {
      const began = performance.now()
      const result = run()
      const took = performance.now() - began
      if (took < QUICK_MS) size = Math.min(size * 2, most)
      else if (took > SLOW_MS) size = Math.max(Math.floor(size / 4), 1)
      return result
    },
  }
}
