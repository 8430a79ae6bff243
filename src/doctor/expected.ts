import type { JobRow } from '../inbox/inbox.ts'
import type { Check } from './context.ts'
import { findingOf, ok, problem, warning } from './finding.ts'
import { jobsOf } from './pages.ts'

/** Reducto ends nearly all jobs within this time of their submission, ms. */
const OVERDUE_MS = 3_600_000
/** After so long Svix has given up, and Reducto has deleted what was not asked to stay, ms. */
const LOST_MS = 12 * 3_600_000
/** So many expected jobs are looked at. */
const MAX_LOOKED_AT = 1_000
/** So many are named. */
const MAX_NAMED = 3

/** Jobs that somebody submitted, and whose webhook has not come. */
export const expected: Check = {
  name: 'expected',
  group: 'here',
  async run({ ledger, now }, signal) {
    const inbox = await ledger()
    const filter = { state: 'expected', until: now() - OVERDUE_MS } as const
    const { jobs: quiet, isAll } = await jobsOf(inbox, filter, MAX_LOOKED_AT, signal)
    const overdue = quiet.filter(({ createdAt }) => now() - createdAt > OVERDUE_MS)
    if (overdue.length === 0) return findingOf([ok('no job is overdue')])
    const lost = overdue.filter(({ createdAt }) => now() - createdAt > LOST_MS)
    const found = `${overdue.length}${isAll ? '' : ' or more'} expected jobs have had no webhook for more than an hour: ${named(overdue)}`
    if (lost.length > 0)
      return findingOf([
        problem(`${found}; ${lost.length} of them for more than 12 hours, when results are deleted`, CURE),
      ])
    return findingOf([warning(found, CURE)])
  },
}

const CURE =
  'is there an attempt in the Svix dashboard? If not: were they submitted with webhook mode svix, and does an endpoint listen to their channels? `jobs retry ID` fetches one without its webhook'

function named(jobs: readonly JobRow[]): string {
  const ids = jobs.slice(0, MAX_NAMED).map(({ jobId }) => jobId)
  return `${ids.join(', ')}${jobs.length > MAX_NAMED ? ', …' : ''}`
}
