import { z } from 'zod'
import { isJobId } from '../../job.ts'
import { eraseOneJob } from '../../operations/erase.ts'
import { expectJob } from '../../operations/expect.ts'
import { searchJobs } from '../../operations/list.ts'
import { retryJob } from '../../operations/retry.ts'
import { showJob } from '../../operations/show.ts'
import { metadataOf } from '../../receive/metadata.ts'
import { NOT_FOUND, UNAVAILABLE } from '../replies.ts'
import { savedPathIn, serveSaved } from '../saved-files.ts'
import { ERASED_JOB, EXPECTED_JOB, JOB, JOBS, QUEUED } from './answers.ts'
import { ERASED, EXPECTED, invalidQuery, RUNNING } from './errors.ts'
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
    query: z.object({ ...JOB_FILTERS, until: UNTIL, metadata: METADATA, ...PAGE }),
    body: null,
    answer: JOBS,
    refusals: [],
    async handle({ query, work }) {
      const { rows: jobs, ...page } = await searchJobs({ ...work, metadataOf }, jobFilterOf(query), pageOf(query))
      return { value: { jobs, ...page } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/jobs/:job_id',
    caller: 'read',
    cost: 'question',
    summary:
      'All that is known of one job: its deliveries, its attempts (the latest first) and the record of its result.',
    query: NO_QUERY,
    body: null,
    answer: JOB,
    refusals: [404],
    async handle({ params: { job_id: id }, work, signal }) {
      if (!isJobId(id)) return NOT_FOUND
      const shown = await showJob({ ...work, metadataOf }, id, signal)
      // Of an id alone: its start is not the job.
      if (shown.is === 'refused' || shown.job.jobId !== id) return NOT_FOUND
      return { value: { ...shown.job, record: shown.record } }
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
    query: NO_QUERY,
    body: null,
    answer: null,
    refusals: [404],
    async handle({ params: { job_id: jobId, file }, work, request, response }) {
      const path = savedPathIn(file)
      if (!isJobId(jobId) || path === null) return NOT_FOUND
      await serveSaved(work, { jobId, path }, request, response)
      return null
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
