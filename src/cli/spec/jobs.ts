import { command } from '../command.ts'
import { BULK, JOB_FILTERS, JSON_OUT, PAGE, REGISTRATION, WAIT, WIDE } from './shared.ts'

/** Ids or filters: how many ids is not bounded. */
const SOME: readonly [number, number] = [0, Infinity]

export const jobsList = command({
  name: 'jobs list',
  does: 'the jobs, newest first',
  options: { ...JOB_FILTERS, until: BULK.until, ...PAGE, ...WIDE, ...JSON_OUT },
  examples: [
    ['jobs list --state dead', 'what could not be finished, and why'],
    ['jobs list --metadata user_id=123', 'the documents of one person'],
    ['jobs list --q invoice:2026-07', 'whose metadata has such a value below that key'],
    ['jobs list --code handler --since 2h --wide', 'what the handler refused lately'],
  ],
})

export const jobsCauses = command({
  name: 'jobs causes',
  does: 'why jobs are dead: those with equal causes together, the newest death first',
  options: { ...WIDE, ...JSON_OUT },
  examples: [['jobs causes', 'how many died of what, and since when']],
})

export const jobsShow = command({
  name: 'jobs show',
  args: 'a job id, or the start of one',
  takes: [1, 1],
  does: 'one job: deliveries, attempts, result',
  options: JSON_OUT,
  examples: [['jobs show 6f1c', 'all that is known of the one job whose id begins so']],
})

export const jobsRetry = command({
  name: 'jobs retry',
  args: 'job ids, or options that say which: --state dead, --since 2h, --code CODE, …',
  takes: SOME,
  does: 'queues jobs again: what is saved is handed over, the rest is fetched',
  more: 'With filters alone it takes dead jobs. Many at once are spread over up to ten minutes.',
  options: {
    ...JOB_FILTERS,
    ...BULK,
    refetch: { does: 'also fetches what is saved anew' },
    ...WAIT,
    ...JSON_OUT,
  },
  examples: [
    ['jobs retry --state dead --since 2h --dry-run', 'which would be queued again'],
    ['jobs retry --code http_500 --expect 18', 'all with this code, unless there are more than 18'],
    ['jobs retry --cause "handler: no customer #"', 'all of one cause, as jobs causes shows it'],
    ['jobs retry 6f1c --wait', 'one job; exit 0 when it is done'],
  ],
})

export const jobsReplay = command({
  name: 'jobs replay',
  args: 'job ids, or options that say which: --state done, --since 2h, --type Extract, …',
  takes: SOME,
  does: 'calls the handler again on saved results; fetches nothing',
  more: 'With filters alone it takes done jobs, with --cause dead ones. It needs HANDLER or FORWARD_URL in the settings.',
  options: { ...JOB_FILTERS, ...BULK, ...WAIT, ...JSON_OUT },
  examples: [['jobs replay --type Extract --since 3d', 'after a fix in the handler']],
})

export const jobsDelete = command({
  name: 'jobs delete',
  args: 'job ids, or options that say which: --metadata user_id=123, …',
  takes: SOME,
  does: 'erases result, metadata and bodies; ids stay, so that no delivery brings them back',
  more: 'By --metadata it also erases the bodies of deliveries that name no job and have the same members: --expect counts both.',
  options: { ...JOB_FILTERS, ...BULK, ...JSON_OUT },
  examples: [
    ['jobs delete --metadata user_id=123 --dry-run', 'what is kept of one person'],
    ['jobs delete --metadata user_id=123 --expect 4', 'erases it, unless it is more than four jobs and deliveries'],
  ],
})

export const jobsAdd = command({
  name: 'jobs add',
  args: 'job ids',
  takes: [1, Infinity],
  does: 'registers jobs that were submitted, so that they are looked after if no webhook comes',
  more: 'A job that a delivery has named stays as it is.',
  options: { ...REGISTRATION, ...JSON_OUT },
  examples: [
    ['jobs add 6f1c8a52-…', 'expected from now on'],
    [`jobs add 6f1c8a52-… --metadata '{"user_id":"123"}' --endpoint dev`, 'with what it was submitted with'],
  ],
})
