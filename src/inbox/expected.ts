import { stringifyLossless } from '../lossless-json.ts'

/**
 * Jobs that were submitted and that no delivery has announced yet. A part of the inbox's port: every store keeps these
 * promises, and nothing resolves before it is durable.
 */
export interface Expected {
  /**
   * Somebody submitted this job: it is expected from now on. What is registered holds against what a delivery says later.
   * Registered again while it is expected, it takes what is given anew. `known`: a delivery named it before, and it stays
   * as it is.
   */
  expect(jobId: string, registration: Registration): Promise<'expected' | 'known'>
  /**
   * Reducto says that the job has ended, or that it has no such job, and no delivery said so: it is queued as a delivery
   * would queue it. `known`: it is queued already, or was settled.
   */
  missed(jobId: string, found: Found): Promise<'queued' | 'known'>
  /** The expected jobs that were first heard of before this time (ms), the oldest first, up to `limit` after `after`. */
  overdue(before: number, limit: number, after?: number): Promise<Overdue>
  /** Notes that the service looks after its jobs now; resolves to when it did so last, ms, null when it never did. */
  looked(): Promise<number | null>
}

/** What is said of a job when it is registered. */
export type Registration = {
  /** The endpoint that its delivery will come to; without one, the delivery decides. */
  readonly endpoint?: string
  /** Any JSON, as it was submitted with; null counts as not given. */
  readonly metadata?: unknown
  /** Who registers it, for people: `api`, `submit`, … */
  readonly by: string
}

/** The status that Reducto tells, null when it knows no such job; `endpoint`: of a job that nobody has registered. */
export type Found = { readonly status: string | null; readonly endpoint: string }

/** `total`: all that are overdue. `next`: where the list goes on; null at its end. */
export type Overdue = {
  readonly jobs: readonly { readonly jobId: string; readonly createdAt: number }[]
  readonly total: number
  readonly next: number | null
}

/** Who registered a job, and when first, ms; null when nobody has. */
export type Registered = { readonly registered: { readonly by: string; readonly at: number } | null }

/** Reducto ends most jobs within minutes, and Svix delivers within seconds: an expected job is overdue after this, ms. */
export const OVERDUE_AFTER_MS = 10 * 60_000
/** While all is well the pause between two looks after overdue jobs grows to this many times RECONCILE_EVERY. */
export const MAX_LOOK_FACTOR = 4

/** The endpoint of a job while neither its registration nor a delivery says which. */
export const UNSAID_ENDPOINT = 'default'

/** The metadata of a registration as the body of a delivery would have it; null when none is given. */
export function registeredBody(jobId: string, metadata: unknown): string | null {
  if (metadata === undefined || metadata === null) return null
  return stringifyLossless({ job_id: jobId, metadata })
}
