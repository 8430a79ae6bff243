import type { Action, Cause } from '../inbox/inbox.ts'
import { stringifyLossless } from '../lossless-json.ts'
import type { NotedDelivery } from './deliveries.ts'
import type { ListedJob } from './list.ts'
import { metadataPairs, stateOf, toJson } from './present.ts'

/** Ids that a row of an action shows. */
const MAX_SHOWN_IDS = 3

/**
 * A column of a list, as data: what it shows is the same wherever a list is shown. `time`: ms, shown as its distance from now.
 * `where`: `always`; `below` the row where there is little room; only where there is `room`.
 */
export type Column<Row> = {
  readonly name: string
  readonly heading: string
  readonly where: 'always' | 'below' | 'room'
  readonly value: (row: Row) => { readonly text: string } | { readonly time: number }
}

export const JOB_COLUMNS: readonly Column<ListedJob>[] = [
  { name: 'job_id', heading: 'JOB', where: 'always', value: (job) => ({ text: job.jobId }) },
  { name: 'state', heading: 'STATE', where: 'always', value: (job) => ({ text: stateOf(job) }) },
  { name: 'updated_at', heading: 'CHANGED', where: 'always', value: (job) => ({ time: job.updatedAt }) },
  { name: 'type', heading: 'TYPE', where: 'always', value: (job) => ({ text: job.type ?? '' }) },
  { name: 'endpoint', heading: 'ENDPOINT', where: 'room', value: (job) => ({ text: job.endpoint }) },
  { name: 'metadata', heading: 'METADATA', where: 'below', value: (job) => ({ text: metadataText(job) }) },
  {
    name: 'reason',
    heading: 'REASON',
    where: 'below',
    value: ({ reason }) => ({ text: reason ? `${reason.code}: ${reason.message}` : '' }),
  },
]

export const DELIVERY_COLUMNS: readonly Column<NotedDelivery>[] = [
  { name: 'svix_id', heading: 'DELIVERY', where: 'always', value: (one) => ({ text: one.svixId }) },
  { name: 'disposition', heading: 'TAKEN AS', where: 'always', value: (one) => ({ text: one.disposition }) },
  { name: 'received_at', heading: 'RECEIVED', where: 'always', value: (one) => ({ time: one.receivedAt }) },
  { name: 'arrivals', heading: 'TIMES', where: 'always', value: (one) => ({ text: String(one.arrivals) }) },
  { name: 'endpoint', heading: 'ENDPOINT', where: 'room', value: (one) => ({ text: one.endpoint }) },
  { name: 'status', heading: 'STATUS', where: 'room', value: (one) => ({ text: one.status ?? '' }) },
  { name: 'job_id', heading: 'JOB', where: 'below', value: (one) => ({ text: one.jobId ?? '' }) },
  { name: 'note', heading: 'NOTE', where: 'below', value: (one) => ({ text: one.note ?? '' }) },
]

export const CAUSE_COLUMNS: readonly Column<Cause>[] = [
  { name: 'jobs', heading: 'JOBS', where: 'always', value: (one) => ({ text: String(one.jobs) }) },
  { name: 'last_at', heading: 'LAST DIED', where: 'always', value: (one) => ({ time: one.lastAt }) },
  { name: 'first_at', heading: 'FIRST', where: 'always', value: (one) => ({ time: one.firstAt }) },
  { name: 'types', heading: 'TYPES', where: 'room', value: (one) => ({ text: one.types.join(', ') }) },
  { name: 'endpoints', heading: 'ENDPOINTS', where: 'room', value: (one) => ({ text: one.endpoints.join(', ') }) },
  { name: 'sample', heading: 'SUCH AS', where: 'always', value: (one) => ({ text: one.sample }) },
  { name: 'cause', heading: 'CAUSE', where: 'below', value: (one) => ({ text: one.cause }) },
]

export const ACTION_COLUMNS: readonly Column<Action>[] = [
  { name: 'at', heading: 'WHEN', where: 'always', value: (one) => ({ time: one.at }) },
  { name: 'what', heading: 'WHAT', where: 'always', value: (one) => ({ text: one.what.replace('_', ' ') }) },
  {
    name: 'count',
    heading: 'FOR',
    where: 'always',
    value: (one) => ({ text: one.count === 0 ? '' : String(one.count) }),
  },
  { name: 'who', heading: 'WHO', where: 'always', value: (one) => ({ text: one.who }) },
  { name: 'role', heading: 'ROLE', where: 'room', value: (one) => ({ text: one.role }) },
  { name: 'which', heading: 'WHICH', where: 'below', value: (one) => ({ text: whichOf(one) }) },
]

/** The filter, else the ids. */
function whichOf({ filter, ids, count }: Action): string {
  if (filter !== null) return stringifyLossless(toJson(filter))
  return ids.slice(0, MAX_SHOWN_IDS).join(', ') + (count > MAX_SHOWN_IDS ? ', …' : '')
}

function metadataText({ metadata, isMetadataOmitted }: ListedJob): string {
  return isMetadataOmitted ? 'too large for a list: `jobs show` has it' : metadataPairs(metadata)
}
