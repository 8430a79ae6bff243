import { isJobId } from '../job.ts'
import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/** `createdAt`: ms; null when it is missing, or no time. */
export type ListedJob = { readonly jobId: string; readonly status: string; readonly createdAt: number | null }

/** One page of the account's jobs. */
type JobsPage = {
  readonly jobs: readonly ListedJob[]
  /** The cursor of the next page; null on the last one. */
  readonly next: string | null
}

/** `limit`: 1 to 500. The order is not documented. */
export type ListJobs = (
  query: { readonly limit: number; readonly cursor?: string },
  signal: AbortSignal,
) => Promise<JobsPage>

/** `GET /jobs`. The function throws ReductoError; `unreadable` when the answer is not a list of jobs. */
export function createListJobs(client: Client, now: () => number): ListJobs {
  return async ({ limit, cursor }, signal) => {
    try {
      const text = await client.call(signal, async (callSignal) => {
        // The SDK would send an empty cursor.
        const query = cursor === undefined ? { limit } : { limit, cursor }
        const response = await client.sdk.job.getAll(query, { signal: callSignal }).asResponse()
        return response.text()
      })
      return readPage(parse(text))
    } catch (error) {
      throw readError(error, now())
    }
  }
}

function readPage(value: unknown): JobsPage {
  const { jobs, next_cursor: next } = (value ?? {}) as { jobs?: unknown; next_cursor?: unknown }
  if (!Array.isArray(jobs)) throw unreadable()
  return { jobs: jobs.flatMap(readRow), next: typeof next === 'string' && next !== '' ? next : null }
}

/** Skips rows without a valid job id. */
function readRow(row: unknown): readonly ListedJob[] {
  const { job_id: jobId, status, created_at } = (row ?? {}) as Readonly<Record<string, unknown>>
  return isJobId(jobId) && typeof status === 'string' ? [{ jobId, status, createdAt: timeOf(created_at) }] : []
}

/** Reducto writes times without a zone too, which are in UTC. */
function timeOf(value: unknown): number | null {
  if (typeof value !== 'string') return null
  const hasZone = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(value)
  const time = Date.parse(hasZone || !value.includes('T') ? value : `${value}Z`)
  return Number.isNaN(time) ? null : time
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw unreadable()
  }
}

function unreadable(): ReductoError {
  return new ReductoError('unreadable', "Reducto's answer is not a list of jobs")
}
