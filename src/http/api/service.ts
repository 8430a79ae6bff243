import { z } from 'zod'
import { describeAtRisk, refusedLately } from '../../operations/journal.ts'
import { MAX_REASON, pauseWork, resumeWork } from '../../operations/pause.ts'
import { statusOf } from '../../operations/status.ts'
import { PAUSED, STATS, STATUS } from './answers.ts'
import { type ApiRoute, apiRoute } from './table.ts'

const NO_QUERY = z.object({})

/** What can be asked and done about the service. */
export const SERVICE_ROUTES: readonly ApiRoute[] = [
  apiRoute({
    method: 'GET',
    path: '/api/stats',
    caller: 'read',
    cost: 'question',
    summary:
      'Jobs by state, deliveries by kind, since when the oldest waits, results that only Reducto has, refusals of the last day, the pause and what else stops the worker.',
    query: NO_QUERY,
    body: null,
    answer: STATS,
    refusals: [],
    async handle({ work }) {
      const { ledger } = work
      const [stats, { pause }, { refusals }, atRisk] = await Promise.all([
        ledger.stats(),
        ledger.service(),
        refusedLately(work),
        work.atRisk(),
      ])
      const { fetch, hand_over: handOver } = stats.oldestDueAt
      const oldestDueAt = { fetch: timeOf(fetch), handOver: timeOf(handOver) }
      const resultsAtRisk = atRisk && describeAtRisk(atRisk)
      const pausedBy = pausesOf(work.readiness().degraded)
      return { value: { ...stats, oldestDueAt, pause, pausedBy, resultsAtRisk, refusals } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/status',
    caller: 'read',
    cost: 'question',
    summary: 'How the service stands, and what of it needs a person.',
    query: NO_QUERY,
    body: null,
    answer: STATUS,
    refusals: [],
    async handle({ work }) {
      return { value: await statusOf({ ...work, isRunning: () => true, readiness: async () => work.readiness() }) }
    },
  }),
  apiRoute({
    method: 'POST',
    path: '/api/worker/pause',
    caller: 'write',
    cost: 'question',
    summary: 'Stops the fetching and handing over of jobs, over restarts too. Deliveries are still accepted.',
    query: NO_QUERY,
    body: z.object({ reason: z.string().trim().min(1).max(MAX_REASON).optional() }),
    answer: PAUSED,
    refusals: [],
    async handle({ body: { reason }, work }) {
      const { pause, was } = await pauseWork(work, reason === undefined ? null : work.scrub(reason))
      return { value: { paused: true, ...pause, wasPaused: was !== null } }
    },
  }),
  apiRoute({
    method: 'POST',
    path: '/api/worker/resume',
    caller: 'write',
    cost: 'question',
    summary: 'Lets jobs be fetched and handed over again.',
    query: NO_QUERY,
    body: z.object({}),
    answer: PAUSED,
    refusals: [],
    async handle({ work }) {
      const { was } = await resumeWork(work)
      return { value: { paused: false, wasPaused: was !== null, ...(was ?? {}) } }
    },
  }),
]

/** What stops the worker, as the metric `paused` names it. */
const PAUSES: ReadonlyMap<string, string> = new Map([
  ['worker_paused', 'operator'],
  ['reducto_auth', 'reducto_auth'],
  ['results', 'results'],
  ['disk', 'disk'],
])

function pausesOf(degraded: readonly string[]): readonly string[] {
  return degraded.flatMap((name) => PAUSES.get(name) ?? [])
}

/** Under the names of stages no time would be known for one. */
function timeOf(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
