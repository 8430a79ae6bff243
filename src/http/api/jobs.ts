import { z } from 'zod'
import { isJobId } from '../../job.ts'
import { stringifyLossless } from '../../lossless-json.ts'
import { eraseOneJob } from '../../operations/erase.ts'
import { expectJob } from '../../operations/expect.ts'
import { searchJobs } from '../../operations/list.ts'
import { toJson } from '../../operations/present.ts'
import { retryJob } from '../../operations/retry.ts'
import { showJob } from '../../operations/show.ts'
import { withoutContent } from '../../operations/without-content.ts'
import type { ResultView } from '../../operator/job.ts'
import { metadataOf } from '../../receive/metadata.ts'
import { jsonText, NOT_FOUND, type Reply, UNAVAILABLE } from '../replies.ts'
import { savedPathIn, serveSaved } from '../saved-files.ts'
import { ERASED_JOB, EXPECTED_JOB, JOB, JOBS, PREVIEW, QUEUED } from './answers.ts'
import { CONTENT, HIDDEN, isShown } from './content.ts'
import { CONTENT_HIDDEN, ERASED, EXPECTED, invalidQuery, RUNNING } from './errors.ts'
import { JOB_FILTERS, jobFilterOf, METADATA, PAGE, pageOf, UNTIL } from './fields.ts'
import { type ApiRoute, apiRoute } from './table.ts'

const NO_QUERY = z.object({})

/** What can be asked and done about jobs, one at a time. */
export const JOB_ROUTES: readonly ApiRoute[] = [
  apiRoute({
    method: 'GET',
    path: '/api/jobs',
    caller: 'read',
    cost: 'question',
    summary: 'Jobs, the newest first. A page may be short, or empty: `next` says whether there is more to search.',
    query: z.object({ ...JOB_FILTERS, until: UNTIL, metadata: METADATA, ...PAGE, ...CONTENT }),
    body: null,
    answer: JOBS,
    refusals: [403],
    async handle(call) {
      const { query, work } = call
      const isBlind = work.hidesContent && call.identity.role === 'read'
      const filter = isBlind ? await withoutContent(work.ledger, jobFilterOf(query)) : jobFilterOf(query)
      if (filter === null) return CONTENT_HIDDEN
      const { rows: jobs, ...page } = await searchJobs({ ...work, metadataOf }, filter, pageOf(query))
      if (await isShown(call, { what: 'show', ids: jobs.map(({ jobId }) => jobId) }))
        return { value: { jobs, ...page } }
      return { value: { jobs: jobs.map((job) => ({ ...job, metadata: null })), ...page, ...HIDDEN } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/jobs/:job_id',
    caller: 'read',
    cost: 'question',
    summary:
      'All that is known of one job: its deliveries, its attempts (the latest first) and the record of its result.',
    query: z.object(CONTENT),
    body: null,
    answer: JOB,
    refusals: [404],
    async handle(call) {
      const { work, signal } = call
      const id = call.params.job_id
      if (!isJobId(id)) return NOT_FOUND
      const shown = await showJob({ ...work, metadataOf }, id, signal)
      // Of an id alone: its start is not the job.
      if (shown.is === 'refused' || shown.job.jobId !== id) return NOT_FOUND
      const { job, record } = shown
      if (await isShown(call, { what: 'show', ids: [id] })) return { value: { ...job, record } }
      return { value: { ...job, metadata: null, record: record && { ...record, metadata: null }, ...HIDDEN } }
    },
  }),
  apiRoute({
    method: 'PUT',
    path: '/api/jobs/:job_id',
    caller: 'write',
    cost: 'question',
    summary:
      'Registers a job that was submitted: it is expected from now on, and looked after if its webhook does not come. A job that a delivery has named stays as it is.',
    query: NO_QUERY,
    body: z.object({
      metadata: z.unknown().optional().meta({ description: 'any JSON; reaches record and handler' }),
      endpoint: z.string().optional().meta({ description: 'where its webhook comes to; else the webhook decides' }),
    }),
    answer: EXPECTED_JOB,
    refusals: [404],
    async handle({ params: { job_id: jobId }, body: { metadata, endpoint }, work }) {
      if (!isJobId(jobId)) return NOT_FOUND
      const result = await expectJob(work, jobId, { metadata, endpoint }, 'api')
      if (result.is === 'refused') return invalidQuery([{ path: '', message: result.message }])
      return { value: { jobId, known: result.is === 'known' } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/jobs/:job_id/files/*file',
    caller: 'read',
    cost: 'free',
    summary: 'A file of a saved result: `job.json`, the list of files, or a path that the list names.',
    query: z.object(CONTENT),
    body: null,
    answer: null,
    refusals: [403, 404],
    async handle(call) {
      const { work, request, response } = call
      const { job_id: jobId, file } = call.params
      const path = savedPathIn(file)
      if (!isJobId(jobId) || path === null) return NOT_FOUND
      if (!(await isShown(call, { what: 'show', ids: [jobId] }))) return CONTENT_HIDDEN
      await serveSaved(work, { jobId, path }, request, response)
      return null
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/jobs/:job_id/preview',
    caller: 'read',
    cost: 'question',
    summary:
      'What a page shows of a saved result: fields, parts, chunks, classes, form, or the answer as it is. Bounded.',
    query: z.object(CONTENT),
    body: null,
    answer: PREVIEW,
    refusals: [403, 404],
    async handle(call) {
      const { work, signal } = call
      const { job_id: jobId } = call.params
      if (!isJobId(jobId)) return NOT_FOUND
      const record = await work.results.record(jobId, signal)
      if (record === null) return NOT_FOUND
      if (!(await isShown(call, { what: 'show', ids: [jobId] }))) return CONTENT_HIDDEN
      return previewOf(jobId, await work.previews.read(record, signal))
    },
  }),
  apiRoute({
    method: 'POST',
    path: '/api/jobs/:job_id/retry',
    caller: 'write',
    cost: 'question',
    summary: 'Queues a job again: what is saved is handed over again, with `refetch` it is fetched anew.',
    query: NO_QUERY,
    body: z.object({ refetch: z.boolean().optional() }),
    answer: QUEUED,
    refusals: [404, 409],
    async handle({ params: { job_id: jobId }, body, work }) {
      if (!isJobId(jobId)) return NOT_FOUND
      const became = await retryJob(work, jobId, { refetch: body.refetch ?? false })
      switch (became) {
        case 'queued':
          return { value: { jobId, state: became } }
        case 'unknown':
          return NOT_FOUND
        case 'running':
          return RUNNING
        case 'erased':
          return ERASED
        case 'expected':
          return EXPECTED
      }
    },
  }),
  apiRoute({
    method: 'DELETE',
    path: '/api/jobs/:job_id',
    caller: 'write',
    cost: 'question',
    summary: 'Erases result, metadata and bodies of a job. Its ids stay, so that no delivery brings it back.',
    query: NO_QUERY,
    body: null,
    answer: ERASED_JOB,
    refusals: [404, 409],
    async handle({ params: { job_id: jobId }, work, signal }) {
      if (!isJobId(jobId)) return NOT_FOUND
      const failure = await eraseOneJob(work, jobId, signal)
      if (failure === null) return { value: { jobId, erased: true } }
      return { unknown: NOT_FOUND, running: RUNNING, results: UNAVAILABLE }[failure.code]
    },
  }),
]

/** An answer that is shown as it is keeps the names of its members. */
function previewOf(jobId: string, view: ResultView): Reply {
  const sections = view.is === 'sections' ? view.sections.map((one) => (one.is === 'tree' ? one : toJson(one))) : null
  const why = view.is === 'unreadable' ? view.why : null
  return jsonText(200, stringifyLossless({ job_id: jobId, sections, why }))
}
