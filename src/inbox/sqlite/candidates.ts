import type { DatabaseSync } from 'node:sqlite'
import type { SearchQuery } from '../search/query.ts'
import type { IndexView } from './index-reader.ts'
import { SEARCH_ERROR, SEARCH_JOB } from './rows.ts'

/** What is fewer than this is looked up at once, wherever it stands; what is more, window by window. */
const MAX_FEW = 1_000
/** Jobs whose deliveries are looked up in the index at once, where many match. */
const WINDOW_JOBS = 5_000
/** Jobs with an error that one step compares. */
const STEP_ERRORS = 1_000
/** Jobs with registered metadata that one step compares: the index has the words of deliveries alone. */
const STEP_REGISTERED = 1_000
/** Above every character that an id may have: where ids with a prefix end. */
const LAST = '\u{10ffff}'
/** Deliveries of neighbouring jobs that are further apart than this are looked up apart. */
const MAX_GAP = 10_000
const EVERY = Number.MAX_SAFE_INTEGER

type Range = { readonly before: number; readonly from: number }
type Seq = { readonly seq: number }

/**
 * Which jobs may match: all that do are among them. `stepFrom` says where a step ends that begins below `at` and looks at no
 * more than about `size` of them; `within` gives those of a step.
 */
type Found = {
  stepFrom(at: number, size: number): number
  within(range: Range): readonly number[]
}

type Asked = {
  readonly before: number
  readonly view: IndexView
  readonly expression: string | null
  /** What was asked for, as the start of an id. */
  readonly q: string
}

export function createCandidates(db: DatabaseSync) {
  const byJobId = db.prepare('SELECT seq FROM job WHERE job_id >= :q AND job_id < :end LIMIT :limit')
  const bySvixId = db.prepare(
    `SELECT job.seq FROM (SELECT job_id FROM delivery WHERE svix_id >= :q AND svix_id < :end LIMIT :limit) JOIN job USING (job_id)`,
  )
  const svixIds = db.prepare(
    'SELECT COUNT(*) AS count FROM (SELECT 1 FROM delivery WHERE svix_id >= :q AND svix_id < :end LIMIT :limit)',
  )
  const jobsOf = db.prepare(
    `SELECT job.seq FROM json_each(:seqs) AS one CROSS JOIN delivery ON delivery.seq = one.value
     CROSS JOIN job ON job.job_id = delivery.job_id AND job.first_delivery = delivery.seq WHERE job.seq < :before`,
  )
  const tail = db.prepare('SELECT seq FROM delivery WHERE seq > :indexed AND is_later = 0 ORDER BY seq LIMIT :limit')
  const errorStep = db.prepare(
    `SELECT seq FROM job INDEXED BY job_reason WHERE reason_code IS NOT NULL AND seq < :at ORDER BY seq DESC LIMIT 1 OFFSET ${STEP_ERRORS - 1}`,
  )
  const errors = db.prepare(
    `SELECT seq FROM job INDEXED BY job_reason WHERE reason_code IS NOT NULL AND seq < :before AND seq >= :from
       AND ${SEARCH_ERROR}(:q, state, reason_code, reason_message)`,
  )
  const registeredStep = db.prepare(
    `SELECT job_seq AS seq FROM registration WHERE body IS NOT NULL AND job_seq < :at ORDER BY job_seq DESC LIMIT 1 OFFSET ${STEP_REGISTERED - 1}`,
  )
  const registered = db.prepare(
    `SELECT job_seq AS seq FROM registration WHERE body IS NOT NULL AND job_seq < :before AND job_seq >= :from
       AND ${SEARCH_JOB}(:q, 'expected', NULL, NULL, body)`,
  )
  const window = db.prepare(
    'SELECT seq, first_delivery AS delivery FROM job WHERE seq < :before AND seq >= :from AND first_delivery IS NOT NULL ORDER BY first_delivery',
  )

  /** Null when too many ids begin so: then every job may match. */
  function find(query: SearchQuery, asked: Asked): Found | null {
    const byId = query.isBlank ? [] : seqsById(asked.q)
    if (byId === null) return null
    const { q, expression } = asked
    const comparedIn = ({ before, from }: Range) =>
      expression === null
        ? []
        : [errors, registered].flatMap((one) => (one.all({ before, from, q }) as Seq[]).map(({ seq }) => seq))
    const known = expression === null ? [] : fewByWords(asked, expression)
    if (known !== null)
      return few(
        [...new Set([...byId, ...known])].sort((a, b) => b - a),
        comparedIn,
        expression !== null,
      )
    return windows((range) => [
      ...byId.filter((seq) => seq < range.before && seq >= range.from),
      ...comparedIn(range),
      ...inWindow(range, asked.view, expression!),
    ])
  }

  function seqsById(q: string): readonly number[] | null {
    const asked = { q, end: q + LAST }
    const limit = MAX_FEW + 1
    const jobs = byJobId.all({ ...asked, limit }) as Seq[]
    const deliveries = (svixIds.get({ ...asked, limit }) as { count: number }).count
    if (jobs.length > MAX_FEW || deliveries > MAX_FEW) return null
    return [...jobs, ...(bySvixId.all({ ...asked, limit }) as Seq[])].map(({ seq }) => seq)
  }

  /** By the index, and what it has not seen yet; null when either are many. */
  function fewByWords({ view, before }: Asked, expression: string): readonly number[] | null {
    const limit = MAX_FEW + 1
    const matching = view.matches(expression, { from: 1, to: EVERY, limit })
    if (matching.length > MAX_FEW) return null
    const unseen = tail.all({ indexed: view.indexed, limit }) as Seq[]
    if (unseen.length > MAX_FEW) return null
    const seqs = [...matching, ...unseen.map(({ seq }) => seq)]
    return (jobsOf.all({ seqs: JSON.stringify(seqs), before }) as Seq[]).map(({ seq }) => seq)
  }

  /** `known`: the newest first. */
  function few(known: readonly number[], comparedIn: (range: Range) => readonly number[], hasWords: boolean): Found {
    return {
      stepFrom(at, size) {
        const byKnown = known.filter((seq) => seq < at)[size - 1] ?? 1
        const compared = hasWords ? [errorStep, registeredStep] : []
        return Math.max(byKnown, ...compared.map((step) => (step.get({ at }) as Seq | undefined)?.seq ?? 1))
      },
      within: (range) => [...known.filter((seq) => seq < range.before && seq >= range.from), ...comparedIn(range)],
    }
  }

  /** To find the place of a window in the index costs far more than to read on: what a window has is read once, for its steps. */
  function windows(all: (range: Range) => readonly number[]): Found {
    let last: Range & { readonly seqs: readonly number[] } = { before: 0, from: 0, seqs: [] }
    function windowBelow(at: number): readonly number[] {
      if (at <= last.from || at > last.before) {
        const range = { before: at, from: Math.max(at - WINDOW_JOBS, 1) }
        last = { ...range, seqs: [...new Set(all(range))].sort((a, b) => b - a) }
      }
      return last.seqs.filter((seq) => seq < at)
    }
    return {
      stepFrom: (at, size) => windowBelow(at)[size - 1] ?? last.from,
      within: (range) => windowBelow(range.before).filter((seq) => seq >= range.from),
    }
  }

  /** Jobs of this window whose first delivery the index finds, or has not seen. */
  function inWindow(range: Range, view: IndexView, expression: string): readonly number[] {
    const jobs = window.all({ before: range.before, from: range.from }) as { seq: number; delivery: number }[]
    const seen = jobs.filter(({ delivery }) => delivery <= view.indexed)
    const found = new Set<number>()
    for (const [from, to] of runsOf(seen.map(({ delivery }) => delivery)))
      for (const seq of view.matches(expression, { from, to, limit: EVERY })) found.add(seq)
    return jobs.filter(({ delivery }) => delivery > view.indexed || found.has(delivery)).map(({ seq }) => seq)
  }

  return { find }
}

/** Ascending numbers, as runs of such as are near to each other. Numbers of jobs and of their deliveries mostly run in step. */
function runsOf(numbers: readonly number[]): readonly (readonly [from: number, to: number])[] {
  const runs: [number, number][] = []
  for (const number of numbers) {
    const run = runs.at(-1)
    if (run && number - run[1] <= MAX_GAP) run[1] = number
    else runs.push([number, number])
  }
  return runs
}
