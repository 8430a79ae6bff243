import type { JobFilter } from '../../inbox/inbox.ts'
import { isJobId } from '../../job.ts'
import { rereadDeliveries } from '../../operations/deliveries.ts'
import { eraseJobs } from '../../operations/erase.ts'
import { MAX_REASON, pauseWork, resumeWork } from '../../operations/pause.ts'
import type { Refusal } from '../../operations/refusal.ts'
import { replayJobs } from '../../operations/replay.ts'
import type { BulkResult } from '../../operations/requeue.ts'
import { retryJobs } from '../../operations/retry.ts'
import type { Bulk } from '../../operations/select.ts'
import { filterArgs } from '../../operator/command.ts'
import { confirmPage, type Doing, readOnlyPage } from '../../operator/confirm.ts'
import type { Query } from '../../operator/page.ts'
import { endOf } from '../saved-files.ts'
import { refusedCode, sendPage } from './context.ts'
import { type Given, givenIn, jobFilterOf, OF_FORM, one, QueryRefused, timeOf } from './filter.ts'
import type { Handle, Visit } from './visit.ts'

/** Ids that a form may name: those of a page. */
const MAX_IDS = 500

const DOINGS = ['retry', 'refetch', 'replay', 'delete'] as const

/** Which jobs a form is for, and the fields that say so once more. */
type Which = {
  readonly bulk: ({ readonly ids: readonly string[] } | { readonly filter: JobFilter }) & Pick<Bulk, 'until'>
  readonly fields: Query
  readonly args: readonly string[]
}

function whichOf(given: Given, now: number): Which {
  const ids = given.getAll('id')
  const wrong = ids.find((id) => !isJobId(id))
  if (wrong !== undefined || ids.length > MAX_IDS) throw new QueryRefused('these are no ids of jobs')
  if (ids.length > 0) return { bulk: { ids }, fields: { id: ids }, args: ids }
  const { filter, query } = jobFilterOf(given, now, OF_FORM)
  const { until, ...rest } = filter
  // Never all by accident.
  if (Object.keys(rest).length === 0) throw new QueryRefused('no jobs are named')
  return { bulk: { filter: rest, ...boundOf(until) }, fields: query, args: filterArgs(rest) }
}

function boundOf(until: number | undefined): Pick<Bulk, 'until'> {
  return until === undefined ? {} : { until }
}

function doingOf(given: Given): Doing {
  const doing = DOINGS.find((known) => known === one(given, 'do'))
  if (doing === undefined) throw new QueryRefused('it is not said what to do')
  return doing
}

type Performed = BulkResult & { readonly deliveries?: number }

async function perform(visit: Visit, doing: Doing, bulk: Bulk): Promise<Performed | Refusal> {
  const { opened, deps, response } = visit
  const { ledger, results } = opened
  const common = { ledger, results, now: deps.clock.now, actor: visit.actor, events: deps.events }
  const signal = endOf(response)
  switch (doing) {
    case 'retry':
    case 'refetch':
      return retryJobs(common, { ...bulk, refetch: doing === 'refetch' })
    case 'replay':
      return replayJobs({ ...common, hasHandler: deps.service.hasHandler }, bulk, signal)
    case 'delete':
      return eraseJobs(common, bulk, signal)
  }
}

/** Asks before it is done: how many match, and the first of them. */
export const confirmRoute: Handle = async (visit) => {
  if (visit.page.role === 'read') return sendPage(visit.response, visit.page, readOnlyPage(visit.page), 403)
  const given = givenIn(visit.request)
  await ask(visit, doingOf(given), whichOf(given, visit.page.now), null)
}

async function ask(visit: Visit, doing: Doing, which: Which, changedFrom: number | null): Promise<void> {
  const { response, page } = visit
  const found = await perform(visit, doing, { ...which.bulk, dryRun: true })
  if (found.is === 'refused')
    return visit.goTo(['jobs'], { refused: found.code === 'no_handler' ? 'no_handler' : 'nothing' })
  const { jobs: count, deliveries = 0, named, skipped, until, isMore } = found
  const { fields, args } = which
  const model = { doing, count, deliveries, named, skipped, until, isMore, fields, args, changedFrom }
  sendPage(response, page, confirmPage(page, model), changedFrom === null ? 200 : 409)
}

/** Does it: to those that were shown and no others. When more match by now, nothing is done, and they are shown. */
export const bulkRoute: Handle = async (visit) => {
  const { form, page } = visit
  const doing = doingOf(form)
  const which = whichOf(form, page.now)
  const [given, expect] = [one(form, 'until'), one(form, 'expect')]
  const until = given === undefined ? undefined : timeOf('until', given, page.now)
  const isBound = until !== undefined && expect !== undefined && /^\d{1,6}$/.test(expect)
  // Jobs that are named by their ids are no others later.
  if ('filter' in which.bulk && !isBound) return ask(visit, doing, which, null)
  const bound = isBound ? { until, expect: Number(expect) } : {}
  const bulk = isBound || !('ids' in which.bulk) ? which.bulk : { ids: await unfinished(visit, which.bulk.ids, until) }
  if ('ids' in bulk && bulk.ids.length === 0) return visit.goTo(['jobs'], { refused: 'changed' })
  const done = await perform(visit, doing, { ...bulk, ...bound })
  if (done.is === 'refused') {
    if (done.code === 'changed') return ask(visit, doing, which, Number(expect))
    return visit.goTo(['jobs'], { refused: done.code === 'no_handler' ? 'no_handler' : 'nothing' })
  }
  const ids = 'ids' in which.bulk ? which.bulk.ids : []
  const back = ids.length === 1 ? ['jobs', ids[0]!] : ['jobs']
  const { deliveries = 0 } = done
  if (done.jobs === 0 && deliveries > 0) return visit.goTo(back, { did: 'delete_deliveries', n: deliveries })
  if (done.jobs === 0) return visit.goTo(back, { refused: refusedCode(done.skipped[0]?.why ?? '') })
  visit.goTo(back, { did: doing, n: done.jobs })
}

/**
 * Without the jobs that were finished since they were shown, by the worker or from another window: to queue one of them again
 * would hand it over twice.
 */
async function unfinished({ opened }: Visit, ids: readonly string[], shownAt: number | undefined) {
  if (shownAt === undefined) return ids
  const finished = { jobIds: ids, state: 'done', since: shownAt + 1 } as const
  const { rows } = await opened.ledger.list(finished, { limit: ids.length })
  const changed = new Set(rows.map(({ jobId }) => jobId))
  return ids.filter((id) => !changed.has(id))
}

/** `POST /jobs/ID/retry` and `/replay`. */
export function oneRoute(doing: 'retry' | 'replay'): Handle {
  return async (visit) => {
    const id = String(visit.request.params.id)
    if (!isJobId(id)) throw new QueryRefused('this is no id of a job')
    const path = ['jobs', id]
    const shownAt = one(visit.form, 'until')
    const at = shownAt === undefined ? undefined : timeOf('until', shownAt, visit.page.now)
    if ((await unfinished(visit, [id], at)).length === 0) return visit.goTo(path, { refused: 'changed' })
    const done = await perform(visit, doing, { ids: [id] })
    if (done.is === 'refused')
      return visit.goTo(path, { refused: done.code === 'no_handler' ? 'no_handler' : 'nothing' })
    if (done.jobs > 0) return visit.goTo(path, { did: doing })
    visit.goTo(path, {
      refused: doing === 'replay' && done.skipped.length === 0 ? 'unsaved' : refusedCode(done.skipped[0]?.why ?? ''),
    })
  }
}

/** What an operation needs that notes who does it. */
export function actingIn({ opened, deps, actor }: Visit) {
  return { ledger: opened.ledger, actor, events: deps.events }
}

export const pauseRoute: Handle = async (visit) => {
  const reason = one(visit.form, 'reason')?.slice(0, MAX_REASON) ?? null
  await pauseWork(actingIn(visit), reason)
  visit.goTo([], { did: 'pause' })
}

export const resumeRoute: Handle = async (visit) => {
  await resumeWork(actingIn(visit))
  visit.goTo([], { did: 'resume' })
}

export const rereadRoute: Handle = async (visit) => {
  const { deps, request } = visit
  const id = String(request.params.id)
  const done = await rereadDeliveries({ ...actingIn(visit), contentOf: deps.contentOf }, { ids: [id] })
  const path = ['deliveries', id]
  if (done.skipped.length > 0)
    return visit.goTo(path, { refused: done.skipped[0]!.why.includes('start of its body') ? 'cut' : 'nothing' })
  visit.goTo(path, { did: 'reread', n: done.queued })
}
