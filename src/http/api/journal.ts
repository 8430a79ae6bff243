import { z } from 'zod'
import { countsBetween, listActions, listCauses, refusedLately } from '../../operations/journal.ts'
import { ACTIONS_PAGE, CAUSES, MINUTES, REFUSALS } from './answers.ts'
import { invalidQuery } from './errors.ts'
import { PAGE, pageOf, time } from './fields.ts'
import { type ApiRoute, apiRoute } from './table.ts'

const NO_QUERY = z.object({})

/** Counts are shown so far back where nothing says from when, ms. */
const DEFAULT_SPAN_MS = 3_600_000

/** What can be asked about why jobs died, who did what, and what was counted. */
export const JOURNAL_ROUTES: readonly ApiRoute[] = [
  apiRoute({
    method: 'GET',
    path: '/api/causes',
    caller: 'read',
    cost: 'question',
    summary:
      'Why jobs are dead: those with equal causes together, the newest death first. `searched_to` is not null where older causes may be left out.',
    query: NO_QUERY,
    body: null,
    answer: CAUSES,
    refusals: [],
    handle: async ({ work }) => ({ value: await listCauses(work) }),
  }),
  apiRoute({
    method: 'GET',
    path: '/api/minutes',
    caller: 'read',
    cost: 'question',
    summary:
      'What was counted, the earliest first: by the minute for up to a day of the last eight, else by the hour for up to 90 days. Counts are written once a minute.',
    query: z.object({
      from: time('counted from then on (an hour before `to`)'),
      to: time('counted until before then (now)'),
    }),
    body: null,
    answer: MINUTES,
    refusals: [],
    async handle({ query, work }) {
      const to = query.to ?? work.now()
      const from = query.from ?? to - DEFAULT_SPAN_MS
      if (from >= to) return invalidQuery([{ path: 'to', message: 'must be after `from`' }])
      return { value: await countsBetween(work, from, to) }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/actions',
    caller: 'read',
    cost: 'question',
    summary:
      'What operators did, the newest first, each with the first thousand ids that it was for. A page may be short: `next` says whether there is more.',
    query: z.object(PAGE),
    body: null,
    answer: ACTIONS_PAGE,
    refusals: [],
    async handle({ query, work }) {
      const { rows: actions, ...page } = await listActions(work, pageOf(query))
      return { value: { actions, ...page } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/refusals',
    caller: 'read',
    cost: 'question',
    summary: 'Why requests were refused within the last day, the latest first. Counts are written once a minute.',
    query: NO_QUERY,
    body: null,
    answer: REFUSALS,
    refusals: [],
    handle: async ({ work }) => ({ value: await refusedLately(work) }),
  }),
]
