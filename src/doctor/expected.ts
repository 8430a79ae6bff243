import { MAX_LOOK_FACTOR, OVERDUE_AFTER_MS } from '../inbox/expected.ts'
import type { Check } from './context.ts'
import { findingOf, ok, problem, warning } from './finding.ts'

const DAY_MS = 24 * 3_600_000
/** After so long Reducto has deleted what was not asked to stay, ms. */
const LOST_MS = 12 * 3_600_000
/** So many are named. */
const MAX_NAMED = 3

/**
 * Jobs that somebody submitted, and whose webhook has not come. What is overdue is what `reconcile` and the service call so;
 * it is told here once the service should have asked Reducto for it.
 */
export const expected: Check = {
  name: 'expected',
  group: 'here',
  async run({ ledger, now, settings }) {
    const inbox = await ledger()
    const every = settings.get('reconcileEvery')
    const olderThan = (ms: number) => inbox.overdue(now() - ms, MAX_NAMED)
    const overdue = await olderThan(OVERDUE_AFTER_MS)
    if (overdue.total === 0) return findingOf([ok('no job is overdue')])
    const { jobs, total } = await olderThan(OVERDUE_AFTER_MS + (every ?? 0) * MAX_LOOK_FACTOR)
    if (total === 0)
      return findingOf([ok(`${count(overdue.total)} overdue, and the service asks Reducto for them by itself`)])
    const lost = await olderThan(LOST_MS)
    const ids = jobs.map(({ jobId }) => jobId).join(', ')
    const found = `${count(total)} overdue: no webhook has come (${ids}${total > jobs.length ? ', …' : ''})`
    const cure = cureOf(every, now() - jobs[0]!.createdAt)
    if (lost.total === 0) return findingOf([warning(found, cure)])
    return findingOf([problem(`${found}; ${lost.total} for more than 12 hours, when results are deleted`, cure)])
  },
}

/** `oldest`: the age of the oldest of them, ms. */
function cureOf(every: number | null, oldest: number): string {
  const command = `\`reconcile --since ${Math.ceil(oldest / DAY_MS) + 1}d\``
  const channels =
    'For those that ended, see whether the Svix dashboard has an attempt; if not, were they submitted with webhook mode svix, and does an endpoint listen to their channels?'
  if (every === null)
    return `RECONCILE_EVERY is off, so nobody asks Reducto for them: ${command} does, and queues what has ended. ${channels}`
  const minutes = Math.round(every / 60_000)
  return `the service asks every ${minutes} to ${minutes * MAX_LOOK_FACTOR} min: does it run, and does Reducto answer it (see service, key)? If so, Reducto still processes them. ${command} says which, and queues what has ended. ${channels}`
}

function count(total: number): string {
  return total === 1 ? '1 expected job is' : `${total} expected jobs are`
}
