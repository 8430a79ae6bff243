import type { DeliveryFilter, JobFilter } from '../inbox.ts'
import { storable } from './rows.ts'

/** What a condition on `job` is for each part of a filter; `$` is its value. */
const CONDITIONS: { readonly [K in Exclude<keyof JobFilter, 'metadata' | 'q'>]-?: string } = {
  state: 'job.state = $',
  stage: 'job.stage = $',
  jobId: 'job.job_id = $',
  jobIds: 'job.job_id = ANY($::text[])',
  // In the collation "C" only the letters of ASCII have two cases, as in the other stores.
  status: 'lower(coalesce(saved_status, announced_status)) = lower($ COLLATE "C")',
  type: 'lower(job.type) = lower($ COLLATE "C")',
  endpoint: 'lower(job.endpoint) = lower($ COLLATE "C")',
  // The index is only used where its own condition stands in the query.
  cause: `(job.state = 'dead' AND job.cause = $)`,
  code: 'reason_code = $',
  error: '(reason_code = $ OR strpos(lower(reason_message), lower($ COLLATE "C")) > 0)',
  since: 'updated_at >= $::bigint',
  until: 'updated_at <= $::bigint',
  createdSince: 'created_at >= $::bigint',
}

/** The same on `delivery`. */
const DELIVERY_CONDITIONS: { readonly [K in keyof DeliveryFilter]-?: string } = {
  disposition: 'disposition = $',
  endpoint: 'lower(endpoint) = lower($ COLLATE "C")',
  since: 'received_at >= $::bigint',
  q: 'starts_with(svix_id, $)',
}

/**
 * Whether a job, or one of its deliveries, has an id that begins with `$1`. By the deliveries of the one job: a look for all
 * deliveries with such an id would be a look at nearly all there are.
 */
export const STARTS = `(starts_with(job.job_id, $1)
  OR EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = job.first_delivery AND starts_with(svix_id, $1))
  OR EXISTS (SELECT 1 FROM delivery WHERE is_later AND delivery.job_id = job.job_id AND starts_with(svix_id, $1)))`

type Matching = { readonly where: string; readonly values: readonly unknown[] }

/** A filter as a condition, with its values from `$first` on. What needs a job's body is not part of it. */
export function matching({ metadata: _, q: __, ...filter }: JobFilter, first: number): Matching {
  return conditionsOf(CONDITIONS, filter, first)
}

/** The same on `delivery`. `isOther`: it is for such as concern no job, which have an index of their own. */
export function deliveriesMatching(filter: DeliveryFilter, first: number): Matching & { readonly isOther: boolean } {
  const isOther = filter.disposition === 'ignored' || filter.disposition === 'rejected'
  const { where, values } = conditionsOf(DELIVERY_CONDITIONS, filter, first)
  // The index is only used where its own condition stands in the query.
  return { where: isOther ? `disposition <> 'job' AND ${where}` : where, values, isOther }
}

function conditionsOf(conditions: Readonly<Record<string, string>>, filter: object, first: number): Matching {
  const where = ['TRUE']
  const values: unknown[] = []
  for (const [part, value] of Object.entries(filter)) {
    if (value === undefined) continue
    where.push(conditions[part]!.replaceAll('$', `$${first + values.length}`))
    values.push(storableValue(value))
  }
  return { where: where.join(' AND '), values }
}

function storableValue(value: unknown): unknown {
  if (typeof value === 'number') return Math.round(value)
  return Array.isArray(value) ? value.map((one) => storable(String(one))) : storable(String(value))
}
