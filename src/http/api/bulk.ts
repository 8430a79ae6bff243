import { z } from 'zod'
import type { JobFilter } from '../../inbox/inbox.ts'
import { eraseJobs } from '../../operations/erase.ts'
import type { Refusal } from '../../operations/refusal.ts'
import type { BulkResult } from '../../operations/requeue.ts'
import { retryJobs } from '../../operations/retry.ts'
import type { Bulk } from '../../operations/select.ts'
import type { Scrub } from '../../telemetry/scrub.ts'
import { BULK, ERASED_BULK } from './answers.ts'
import { changed, invalidQuery } from './errors.ts'
import { JOB_FILTERS, JOB_ID, jobFilterOf, MAX_IDS, METADATA, UNTIL } from './fields.ts'
import { type Answer, type ApiRoute, apiRoute } from './table.ts'

/** Jobs by their ids or by a filter, and the bounds that a dry run gave. */
const WHICH = z.object({
  ids: z.array(JOB_ID).min(1).max(MAX_IDS).optional().meta({ description: 'these jobs, in place of a filter' }),
  ...JOB_FILTERS,
  metadata: METADATA,
  until: UNTIL,
  expect: z.int().min(0).optional().meta({ description: 'nothing is done if more than this match' }),
  dry_run: z.boolean().optional().meta({ description: 'only says how many match, and names the first ten' }),
})

type Given = z.output<typeof WHICH>

/** What can be done about many jobs at once. */
export const BULK_ROUTES: readonly ApiRoute[] = [
  apiRoute({
    method: 'POST',
    path: '/api/retry',
    caller: 'write',
    cost: 'bulk',
    summary:
      'Queues all jobs again that match: `ids`, or a filter with a `state` or a `cause`. With `dry_run` it answers with `count` and `until`; send both back, the count as `expect`, and no job is taken that was not counted.',
    query: z.object({}),
    body: WHICH.extend({ refetch: z.boolean().optional() }),
    answer: BULK,
    refusals: [409],
    async handle({ body, work }) {
      const bulk = bulkOf(body)
      if (bulk === null) return ONE_OF_TWO
      if ('filter' in bulk && !hasState(bulk.filter)) return STATE_MISSING
      return answerOf(await retryJobs(work, { ...bulk, refetch: body.refetch ?? false }), work.scrub)
    },
  }),
  apiRoute({
    method: 'POST',
    path: '/api/erase',
    caller: 'write',
    cost: 'bulk',
    summary:
      'Erases all jobs that match: `ids`, or a filter; by `metadata` also the bodies of deliveries without a job that have it. `count` is for both. A filter needs `until` and `expect` from a dry run before it.',
    query: z.object({}),
    body: WHICH,
    answer: ERASED_BULK,
    refusals: [409],
    async handle({ body, work, signal }) {
      const bulk = bulkOf(body)
      if (bulk === null) return ONE_OF_TWO
      const isBound = body.dry_run || (body.until !== undefined && body.expect !== undefined)
      if ('filter' in bulk && !isBound) return BOUNDS_MISSING
      const erased = await eraseJobs(work, bulk, signal)
      return answerOf(erased, work.scrub, erased.is === 'refused' ? {} : { deliveries: erased.deliveries })
    },
  }),
]

const ONE_OF_TWO = invalidQuery([{ path: '', message: 'give either ids or a filter' }])
const STATE_MISSING = invalidQuery([{ path: 'state', message: 'is required with a filter, such as dead' }])

/** A cause is one of dead jobs. */
const hasState = ({ state, cause }: JobFilter) => state !== undefined || cause !== undefined
const BOUNDS_MISSING = invalidQuery([
  { path: 'expect', message: 'send dry_run first, then its until, and its count as expect' },
])

/** Null when nothing, or two things, say which. `until` alone is no filter but a bound. */
function bulkOf({ ids, until, expect, dry_run: dryRun = false, ...rest }: Given): Bulk | null {
  const filter = jobFilterOf(rest)
  const hasFilter = Object.keys(filter).length > 0
  if ((ids !== undefined) === hasFilter) return null
  const bounds = { ...(until === undefined ? {} : { until }), ...(expect === undefined ? {} : { expect }) }
  return { ...(ids === undefined ? { filter } : { ids, isExact: true }), ...bounds, dryRun }
}

function answerOf(result: BulkResult | Refusal, scrub: Scrub, more: { readonly deliveries?: number } = {}): Answer {
  if (result.is === 'refused') return changed(result.count ?? 0)
  const { jobs, dryRun, until, named, isMore } = result
  const count = jobs + (more.deliveries ?? 0)
  const skipped = result.skipped.map(({ id, why }) => ({ id, why: scrub(why) }))
  return { value: { count, dryRun, until, named: named.map(({ jobId }) => jobId), skipped, isMore, ...more } }
}
