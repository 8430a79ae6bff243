import { z } from 'zod'
import { ACTIONS } from '../../actor.ts'

/** What the API answers with, for its document: the names and times of `--json`. Members are only ever added. */

const at = z.iso.datetime()
const count = z.int().min(0)

const reason = z.object({ code: z.string(), message: z.string() }).nullable()

const job = z.looseObject({
  job_id: z.string(),
  state: z.enum(['expected', 'queued', 'running', 'done', 'dead']),
  stage: z.enum(['fetch', 'hand_over']),
  status: z.string().nullable(),
  type: z.string().nullable(),
  endpoint: z.string(),
  failures: count,
  crashes: count,
  due_at: at,
  created_at: at,
  updated_at: at,
  reason,
  metadata: z.unknown(),
  is_metadata_omitted: z.literal(true).optional(),
})

const delivery = z.looseObject({
  svix_id: z.string(),
  endpoint: z.string(),
  disposition: z.enum(['job', 'ignored', 'rejected']),
  status: z.string().nullable(),
  received_at: at,
  last_at: at,
  arrivals: count,
})

const listed = delivery.extend({ job_id: z.string().nullable(), note: z.string().nullable() })

const attempt = z.looseObject({
  started_at: at,
  ms: z.number(),
  task: z.enum(['fetch', 'hand_over', 'side_files']),
  outcome: z.string(),
  reason,
})

/** `next`: null on the last page; `searched_to`: null when all was searched, else how far back. */
const page = { next: z.string().nullable(), searched_to: at.nullable() }

/** `hidden`: ADMIN_HIDE_CONTENT has left metadata or the body out. */
const hidden = { content: z.literal('hidden').optional() }

export const JOBS = z.object({ jobs: z.array(job), ...page, ...hidden })
export const JOB = job.extend({
  is_running: z.boolean(),
  endpoints: z.array(z.string()),
  deliveries: z.array(delivery),
  round: z.int(),
  queued_at: at,
  actions: z.array(z.object({ at, who: z.string(), role: z.string(), what: z.enum(ACTIONS), round: z.int() })),
  attempts: z.array(attempt),
  record: z.looseObject({}).nullable(),
  ...hidden,
})
export const DELIVERIES = z.object({ deliveries: z.array(listed), ...page })
export const DELIVERY = listed.extend({ body: z.string().nullable(), ...hidden })
/** `sections`: what is shown of the result, by kind; null where it cannot be read, and `why`. */
export const PREVIEW = z.object({
  job_id: z.string(),
  sections: z.array(z.looseObject({ is: z.string() })).nullable(),
  why: z.string().nullable(),
})
export const QUEUED = z.object({ job_id: z.string(), state: z.literal('queued') })
export const ERASED_JOB = z.object({ job_id: z.string(), erased: z.literal(true) })
/** `known`: a delivery had named it before, and nothing was changed. */
export const EXPECTED_JOB = z.object({ job_id: z.string(), known: z.boolean() })
/** `queued`: the delivery names a job now, which was queued. */
export const REREAD = z.object({ svix_id: z.string(), queued: z.boolean() })

export const BULK = z.object({
  count,
  dry_run: z.boolean(),
  until: at,
  named: z.array(z.string()),
  skipped: z.array(z.object({ id: z.string(), why: z.string() })),
  is_more: z.boolean(),
})

/** `deliveries`: how many of `count` are deliveries without a job. */
export const ERASED_BULK = BULK.extend({ deliveries: count })

const pause = z.object({ since: at, reason: z.string().nullable() }).nullable()

const cause = z.looseObject({
  cause: z.string(),
  code: z.string(),
  jobs: count,
  types: z.array(z.string()),
  endpoints: z.array(z.string()),
  first_at: at,
  last_at: at,
  sample: z.string(),
  soonest_created_at: at.nullable(),
})
export const CAUSES = z.object({ causes: z.array(cause), searched_to: at.nullable() })

const span = z.object({ at, ms: count, counts: z.record(z.string(), count) })
export const MINUTES = z.object({ minutes: z.array(span), ms: count, searched_to: at.nullable() })

const action = z.looseObject({
  seq: count,
  at,
  who: z.string(),
  role: z.string(),
  what: z.enum(ACTIONS),
  filter: z.looseObject({}).nullable(),
  count,
  ids: z.array(z.string()),
})
export const ACTIONS_PAGE = z.object({ actions: z.array(action), ...page })

const refusals = z.array(z.object({ reason: z.string(), count, last_at: at }))
export const REFUSALS = z.object({ refusals, since: at })

const atRisk = z.object({ jobs: count, next: z.object({ job_id: z.string(), purge_at: at }).nullable() })

/** `results_at_risk`: null while it is not known. `paused_by`: all that keeps the worker from its jobs. */
export const STATS = z.looseObject({
  jobs: z.record(z.string(), count),
  deliveries: z.record(z.string(), count),
  oldest_queued_at: at.nullable(),
  last_verified_at: at.nullable(),
  paused: z.boolean(),
  pause,
  paused_by: z.array(z.string()),
  results_at_risk: atRisk.nullable(),
  refusals,
})

export const STATUS = z.looseObject({
  version: z.string(),
  pause,
  jobs: z.record(z.string(), count),
  needs: z.array(z.object({ code: z.string(), message: z.string() })),
})

/** `was_paused`: it was paused before, too. */
export const PAUSED = z.looseObject({ paused: z.boolean(), was_paused: z.boolean() })

export const DOCUMENT = z.looseObject({ openapi: z.string() })
