import { z } from 'zod'
import { type DeliveryFilter, type JobFilter, MAX_SEARCH_LENGTH } from '../../inbox/inbox.ts'
import { isJobId } from '../../job.ts'
import { timeFrom } from '../../operations/times.ts'

/** Parameters and members that several routes share: the filters of the command line, by the same names. */

/** Longer than any text that a job has of its own. */
const MAX_TEXT_CHARS = 512
const MAX_LIMIT = 500
const DEFAULT_LIMIT = 50
/** Jobs that one request may name. */
export const MAX_IDS = 500

const text = (description: string, longest = MAX_TEXT_CHARS) =>
  z.string().trim().min(1).max(longest).optional().meta({ description })

export const time = (description: string) =>
  z
    .string()
    .max(40)
    .transform((given, context) => {
      const at = timeFrom(given, Date.now())
      if (at !== null) return at
      context.addIssue('takes a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z')
      return z.NEVER
    })
    .optional()
    .meta({ description: `${description}: a duration back from now, such as 2h, or a time in ISO 8601` })

export const UNTIL = time('without activity after this time')

export const PAGE = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `takes a number from 1 to ${MAX_LIMIT}`)
    .transform(Number)
    .pipe(z.number().max(MAX_LIMIT, `takes a number from 1 to ${MAX_LIMIT}`))
    .optional()
    .meta({ type: 'integer', minimum: 1, maximum: MAX_LIMIT, description: `how many at most (${DEFAULT_LIMIT})` }),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'takes the `next` of a page')
    .optional()
    .meta({ description: 'the `next` of the page before' }),
}

/** As it stands in the list of causes: no character of it is left out. */
const CAUSE = z
  .string()
  .min(1)
  .max(MAX_TEXT_CHARS)
  .optional()
  .meta({ description: 'that are dead of exactly this cause, as `GET /api/causes` has it' })

export const JOB_FILTERS = {
  state: z.enum(['expected', 'queued', 'running', 'done', 'dead']).optional().meta({ description: 'in this state' }),
  stage: z
    .enum(['fetch', 'hand_over'])
    .optional()
    .meta({ description: 'to be fetched, or saved and to be handed over' }),
  status: text('with this status of Reducto’s: Completed, Failed'),
  type: text('of this kind: Parse, Extract, Split, Edit, Pipeline, Classify'),
  endpoint: text('announced first to this endpoint'),
  code: text('whose reason has exactly this code'),
  cause: CAUSE,
  error: text('whose reason has this code, or this text in its message'),
  q: text(
    'whose job id, or the svix-id of a delivery, begins so; or whose metadata, or error, has all of these words',
    MAX_SEARCH_LENGTH,
  ),
  since: time('with any activity since then'),
}

/** Not `z.record`, which leaves a member out whose name is `__proto__`: the filter would match more than was asked for. */
export const METADATA = z
  .custom<Readonly<Record<string, string>>>(isMetadata, 'takes an object with texts, such as {"user_id": "123"}')
  .optional()
  .meta({
    type: 'object',
    minProperties: 1,
    additionalProperties: { type: 'string' },
    description: 'members at the top of the metadata, as text; all must match',
  })

function isMetadata(given: unknown): boolean {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  const members = Object.entries(given)
  const isText = (one: unknown) => typeof one === 'string' && one.length <= MAX_TEXT_CHARS
  return members.length > 0 && members.every(([name, value]) => name !== '' && isText(name) && isText(value))
}

export const DELIVERY_FILTERS = {
  disposition: z
    .enum(['job', 'ignored', 'rejected'])
    .optional()
    .meta({ description: 'taken for a job update, for none, or not understood' }),
  endpoint: text('that came to this endpoint'),
  since: time('received since then'),
  q: text('whose svix-id begins so'),
}

export const JOB_ID = z.string().refine(isJobId, 'is no job id: those have 1 to 128 characters of A-Z a-z 0-9 _ -')

type Given = {
  readonly [name: string]: unknown
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export function pageOf({ limit = DEFAULT_LIMIT, cursor }: Given) {
  return { limit, ...(cursor === undefined ? {} : { cursor }) }
}

/** Which jobs; empty when nothing says so. */
export function jobFilterOf(given: Given): JobFilter {
  return pick(given, [...Object.keys(JOB_FILTERS), 'until', 'metadata']) as JobFilter
}

/** Which deliveries; empty when nothing says so. */
export function deliveryFilterOf(given: Given): DeliveryFilter {
  return pick(given, Object.keys(DELIVERY_FILTERS)) as DeliveryFilter
}

function pick(given: Given, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])))
}
