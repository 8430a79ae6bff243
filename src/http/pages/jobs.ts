import type { JobFilter } from '../../inbox/inbox.ts'
import { isJobId } from '../../job.ts'
import { listJobs } from '../../operations/list.ts'
import { showJob } from '../../operations/show.ts'
import { withoutContent } from '../../operations/without-content.ts'
import { html } from '../../operator/html.ts'
import { type JobModel, jobPage, type ResultView, resultBody } from '../../operator/job.ts'
import { jobsPage } from '../../operator/jobs.ts'
import { notFoundPage } from '../../operator/not-found.ts'
import { lastedText } from '../../operator/time.ts'
import { purgeAt } from '../../purge.ts'
import { linesOf } from '../../results/lines.ts'
import type { FileEntry, JobRecord } from '../../results/record.ts'
import { ResultsUnavailable } from '../../results/results.ts'
import { linkSignals } from '../../signals.ts'
import { sendFragment, sendPage } from './context.ts'
import { cursorOf, givenIn, jobFilterOf, OF_LIST, one, QueryRefused } from './filter.ts'
import { patience } from './patience.ts'
import type { Handle, Visit } from './visit.ts'

/** Jobs of a page. */
const PAGE_JOBS = 50
/** Files of a job that its page reads. */
const MAX_FILES = 100
/** Kinds that a filter offers. */
const TYPES = ['Parse', 'Extract', 'Split', 'Edit', 'Pipeline', 'Classify']
/** A page waits so long for the readable result; what takes longer comes after it, ms. */
const PREVIEW_PATIENCE_MS = 250

export const jobsRoute: Handle = async (visit) => {
  const { request, response, opened, deps, page } = visit
  const given = givenIn(request)
  const { filter, query } = jobFilterOf(given, page.now, OF_LIST)
  const cursor = cursorOf(given)
  const { ledger } = opened
  const [stats, found] = await Promise.all([
    ledger.stats(),
    page.hidesContent
      ? withoutMetadata(listHidden(visit, filter, { limit: PAGE_JOBS, ...(cursor === undefined ? {} : { cursor }) }))
      : listJobs({ ledger, metadataOf: deps.metadataOf }, filter, {
          limit: PAGE_JOBS,
          cursor,
          hasTime: patience(deps.clock),
        }),
  ])
  const endpoints = [...deps.service.endpoints.keys()]
  const model = { filter, query, ...found, isFirst: cursor === undefined, counts: stats.jobs, endpoints, types: TYPES }
  sendPage(response, page, jobsPage(page, model))
}

/** Whoever may not see content may not find out by searching for it either: then `q` finds ids alone. */
async function listHidden(
  { opened, page }: Visit,
  filter: JobFilter,
  part: { readonly limit: number; readonly cursor?: string },
) {
  const { ledger } = opened
  if (page.role === 'write') return ledger.list(filter, part)
  const allowed = await withoutContent(ledger, filter)
  if (allowed === null)
    throw new QueryRefused('content is hidden here (ADMIN_HIDE_CONTENT): metadata is no filter for the reading token')
  return ledger.list(allowed, part)
}

async function withoutMetadata<Row, Rest>(listing: Promise<Rest & { readonly rows: readonly Row[] }>) {
  const found = await listing
  return { ...found, rows: found.rows.map((row) => ({ ...row, metadata: null })) }
}

export const jobRoute: Handle = async (visit) => {
  await showOne(visit, visit.page.hidesContent ? 'hidden' : 'open')
}

/** The job with its content, although content is hidden elsewhere. The caller has noted who asked for it. */
export async function showRevealed(visit: Visit): Promise<void> {
  await showOne(visit, 'revealed')
}

async function showOne(visit: Visit, content: 'open' | 'hidden' | 'revealed'): Promise<void> {
  const { request, response, deps, page, end } = visit
  const id = String(request.params.id)
  const found = isJobId(id) ? await showOrTrouble(visit, id, end) : null
  const shown = found?.shown ?? null
  if (shown === null || shown.is === 'refused') return sendUnknown(visit, id)
  const { job, record } = shown
  if (job.jobId !== id) return visit.goTo(['jobs', job.jobId])
  const isHidden = content === 'hidden'
  const result = record && (isHidden ? ({ is: 'hidden' } as const) : await patiently(visit, record, end))
  const { service } = deps
  const model: JobModel = {
    job: isHidden ? { ...job, metadata: null } : job,
    record,
    result,
    files: record && !isHidden ? await filesOf(visit, record, end) : [],
    actions: job.actions,
    hasHandler: service.hasHandler,
    handlerPath: service.handlerPath,
    purgeAt: purgeAt(job.createdAt),
    apiUrl: `${service.publicUrl?.replace(/\/$/, '') ?? visit.origin}/api`,
    trouble: found?.trouble ?? null,
    isRevealed: content === 'revealed',
  }
  sendPage(response, content === 'revealed' ? { ...page, hidesContent: false } : page, jobPage(page, model))
}

/** A store that does not answer is asked for so long, ms: the rest of the page is in the inbox. */
const STORE_PATIENCE_MS = 5_000

/** The job, also while its result cannot be read: `trouble` says why. */
async function showOrTrouble({ opened, deps }: Visit, id: string, end: AbortSignal) {
  const { ledger, results } = opened
  const metadataOf = deps.metadataOf
  using patience = linkSignals(end, AbortSignal.timeout(STORE_PATIENCE_MS))
  try {
    return { shown: await showJob({ ledger, results, metadataOf }, id, patience.signal), trouble: null }
  } catch (error) {
    if (!(error instanceof ResultsUnavailable || patience.signal.aborted)) throw error
    const trouble = error instanceof ResultsUnavailable ? error.message : 'it took longer than 5 s'
    return { shown: await showJob({ ledger, results: NOTHING, metadataOf }, id, end), trouble }
  }
}

const NOTHING = { record: async () => null }

/** The result if it is there soon. Without a script a link waits for it. */
async function patiently({ request, opened, deps }: Visit, record: JobRecord, end: AbortSignal): Promise<ResultView> {
  const reading = opened.previews.read(record, end)
  if (one(givenIn(request), 'result') === 'wait') return reading
  const late = deps.clock.sleep(PREVIEW_PATIENCE_MS, end).then(() => ({ is: 'late' }) as const)
  return Promise.race([reading, late])
}

/** The first files that the record lists; none while the store does not answer. */
async function filesOf({ opened }: Visit, record: JobRecord, end: AbortSignal): Promise<readonly FileEntry[]> {
  if (record.files.count === 0 && record.files.failed === 0) return []
  const entries: FileEntry[] = []
  try {
    const list = await opened.results.open(record.job_id, record.files.path, end)
    if (list === null) return []
    for await (const line of linesOf(list.body)) {
      entries.push(JSON.parse(line) as FileEntry)
      if (entries.length >= MAX_FILES) break
    }
    list.body.destroy()
  } catch (error) {
    if (!(error instanceof ResultsUnavailable || error instanceof SyntaxError)) throw error
  }
  return entries
}

/** The readable result alone, for a page that did not wait for it. */
export const previewRoute: Handle = async ({ request, response, opened, page, root, end }) => {
  const id = String(request.params.id)
  const record = isJobId(id) ? await opened.results.record(id, end) : null
  const view: ResultView =
    record === null
      ? { is: 'unreadable', why: 'no result is saved any more' }
      : page.hidesContent
        ? { is: 'hidden' }
        : await opened.previews.read(record, end)
  // Its links are those of the page of the job, which it becomes a part of.
  sendFragment(response, html`${resultBody({ ...page, root: root.slice(0, -'../'.length) || './' }, id, view)}`)
}

async function sendUnknown({ response, opened, page }: Visit, id: string): Promise<void> {
  const candidates = isJobId(id) && id.length >= 4 ? await opened.ledger.idsFrom('job', id, 10) : []
  const { lastVerifiedAt } = await opened.ledger.stats()
  const lastDelivery = lastVerifiedAt === null ? null : lastedText(Math.max(page.now - lastVerifiedAt, 0))
  sendPage(response, page, notFoundPage(page, { what: 'job', id, candidates, lastDelivery }), 404)
}
