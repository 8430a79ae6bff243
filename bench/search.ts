import { systemClock } from '../src/clock.ts'
import type { Ledger } from '../src/inbox/inbox.ts'
import { openSqlite } from '../src/inbox/sqlite/inbox.ts'
import { fill } from './fill.ts'

/** What operators ask a full inbox for, and what is measured of it. */

const NAMES = ['schmidt', 'muller', 'lovelace', 'turing', 'hopper', 'curie', 'gauss', 'euler']

/** An inbox of `count` done jobs with six metadata values each, of which the oldest and the newest have words of their own. */
export function fillForSearch(path: string, count: number): void {
  fill(path, count, (index) => ({
    user_id: `u-${index}`,
    customer: `customer ${NAMES[index % NAMES.length]}${index % 5_000}`,
    invoice: `inv-${(index * 7_919) % 1_000_003}`,
    tenant: `tenant${index % 50}`,
    pages: index % 400,
    note: index === 10 ? 'oldneedle' : index === count - 10 ? 'newneedle' : 'checked',
  }))
}

/** Questions, by what they are for. */
const QUESTIONS: readonly (readonly [what: string, q: string | null])[] = [
  ['list', null],
  ['search, an old hit', 'oldneedle'],
  ['search, a recent hit', 'newneedle'],
  ['search, no hit', 'nothing'],
  ['search, a word of every job', 'customer'],
  ['search, one job in a thousand', 'schmidt8'],
  ['search, two common words and a rare one', 'customer checked oldneedle'],
]

/** Builds the index; resolves to how long that took, s. */
export async function buildIndex(path: string, count: number): Promise<number> {
  const began = performance.now()
  const built = Promise.withResolvers<void>()
  const inbox = await openSqlite({
    ...{ path, clock: systemClock, minFree: 0, isService: true },
    onDeath: built.reject,
    onSearch: ({ indexed }) => {
      if (indexed >= count) built.resolve()
    },
  })
  await built.promise
  await inbox.close()
  return (performance.now() - began) / 1_000
}

/** A page of 50 for each question: ms, all requests that it takes. */
export async function askAll(ledger: Pick<Ledger, 'list'>): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>()
  for (const [what, q] of QUESTIONS) {
    const began = performance.now()
    let left = 50
    for (let cursor: string | null | undefined; cursor !== null && left > 0; ) {
      const page = await ledger.list(q === null ? {} : { q }, { limit: left, ...(cursor ? { cursor } : {}) })
      left -= page.rows.length
      cursor = page.next
    }
    times.set(what, performance.now() - began)
  }
  return times
}
