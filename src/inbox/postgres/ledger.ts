import type { Clock } from '../../clock.ts'
import type { Ledger } from '../inbox.ts'
import { placesOf } from '../transitions.ts'
import type { InboxWatch } from '../watch.ts'
import { eraseJob, requeueJobs, rereadDelivery } from './changes.ts'
import { expectJob, missedJob, noteLook } from './expected.ts'
import { addCounts, noteAction } from './journal.ts'
import type { Transaction } from './lane.ts'
import { type BodiesCursor, type PruneCursor, pruneBodiesStep, pruneStep } from './prune.ts'
import type { Queries } from './queries.ts'
import { storable } from './rows.ts'
import type { Effects } from './work.ts'

type LedgerDeps = {
  readonly queries: Queries
  readonly clock: Clock
  /** The number under which changes are counted, and their time. */
  readonly at: () => { readonly source: number; readonly now: number }
  /** Runs a change. @throws InboxUnavailable */
  readonly change: <T>(run: (tx: Transaction) => Promise<T>) => Promise<T>
  /** The same, and wakes whom it concerns. */
  readonly changing: <T>(run: (tx: Transaction) => Promise<{ value: T; effects: Effects }>) => Promise<T>
} & Pick<InboxWatch, 'onRead'>

/** Jobs requeued in one transaction. */
const REQUEUE_BATCH = 200
const ERASE_DELIVERY = `UPDATE delivery SET body = NULL WHERE svix_id = $1 AND disposition <> 'job' RETURNING seq`

/** For operators and the command line: what they ask, and what they change; a pause apart. */
export function createLedger({
  queries,
  clock,
  at,
  change,
  changing,
  onRead,
}: LedgerDeps): Omit<Ledger, 'pause' | 'linkKey'> {
  async function ask<T>(question: string, run: () => Promise<T>): Promise<T> {
    const began = performance.now()
    const answer = await run()
    onRead?.(question, performance.now() - began)
    return answer
  }

  /** Step by step, each a transaction of its own, until there is nothing left or `signal` aborts. */
  async function inSteps<Cursor>(
    first: Cursor,
    step: (tx: Transaction, cursor: Cursor) => Promise<{ readonly rows: number; readonly next: Cursor | null }>,
    signal?: AbortSignal,
  ): Promise<number> {
    let rows = 0
    let from: Cursor | null = first
    while (from !== null && !signal?.aborted) {
      const cursor: Cursor = from
      const done = await change((tx) => step(tx, cursor))
      rows += done.rows
      from = done.next
    }
    return rows
  }

  return {
    get: (jobId) => ask('get', () => queries.get(jobId)),
    list: (filter, page) => ask('list', () => queries.list(filter, page)),
    oldest: (filter) => ask('oldest', () => queries.oldest(filter)),
    idsFrom: (kind, prefix, limit) => ask('idsFrom', () => queries.idsFrom(kind, prefix, limit)),
    bodies: (jobIds) => ask('bodies', () => queries.bodies(jobIds)),
    deliveries: (filter, page) => ask('deliveries', () => queries.deliveries(filter, page)),
    delivery: (svixId) => ask('delivery', () => queries.delivery(svixId)),
    reread: (svixId, content, action) => changing((tx) => rereadDelivery(tx, svixId, content, action, at())),
    eraseDelivery: async (svixId) => (await change((tx) => tx.query(ERASE_DELIVERY, [storable(svixId)]))).length > 0,
    causes: () => ask('causes', () => queries.causes(clock.now())),
    atRisk: () => ask('atRisk', () => queries.atRisk(clock.now())),
    actions: (page) => ask('actions', () => queries.actions(page)),
    minutes: (from, to) => ask('minutes', () => queries.minutes(from, to, clock.now())),
    refusals: (since) => ask('refusals', () => queries.refusals(since, clock.now())),
    note: (action) => change((tx) => noteAction(tx, action, clock.now())),
    expect: (jobId, registration) => changing((tx) => expectJob(tx, jobId, registration, at())),
    missed: (jobId, found) => changing((tx) => missedJob(tx, jobId, found, at())),
    looked: () => change((tx) => noteLook(tx, clock.now())),
    overdue: (before, limit, after) => ask('overdue', () => queries.overdue(before, limit, after)),
    // What is searched is read, not indexed: it is never behind.
    searchLag: async () => 0,
    count: (minutes) => change((tx) => addCounts(tx, minutes)),
    stats: () => ask('stats', queries.stats),
    service: () => ask('service', queries.service),
    async requeue(filter, { dryRun = false, refetch = false, part, action } = {}) {
      const jobIds = await queries.requeueable(filter)
      if (dryRun) return jobIds.length
      const since = clock.now()
      const places = placesOf(jobIds.length, part)
      let queued = 0
      for (let first = 0; first < jobIds.length; first += REQUEUE_BATCH) {
        const some = jobIds.slice(first, first + REQUEUE_BATCH)
        const place = { since, first: places.first + first, total: places.total }
        queued += await changing((tx) => requeueJobs(tx, some, { refetch, part: place, action }, at()))
      }
      return queued
    },
    erase: (jobId, action) => changing((tx) => eraseJob(tx, jobId, action, at())),
    prune: (before, signal) =>
      inSteps<PruneCursor>(
        { job: 0, delivery: 0, isFirst: true },
        (tx, cursor) => pruneStep(tx, before, cursor, at()),
        signal,
      ),
    pruneBodies: (before, signal) =>
      inSteps<BodiesCursor>({ delivery: 0, attempts: 0 }, (tx, cursor) => pruneBodiesStep(tx, before, cursor), signal),
  }
}
