import { DocumentCrashed, DocumentTooComplex, NotJson } from '../answer/errors.ts'
import { InboxUnavailable } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import { ReductoError } from '../reducto/errors.ts'
import { ResultsUnavailable } from '../results/results.ts'
import type { SharedFailure } from './attempt.ts'
import { ResultMissing, ResultTooLarge, ResultUnfinished, Stalled } from './failures.ts'

/** Reducto must report a job as unknown for this long before the report is believed, ms. */
const UNKNOWN_CONFIRMED_AFTER_MS = 15 * 60_000

/** Jobs delayed by a shared failure are due again this soon after the worker resumes, ms. */
const RECHECK_DELAY_MS = 1_000

const UNKNOWN_JOB =
  'Reducto knows no such job under this key and region: purged, deleted, a test event, or submitted with another key'

/** The checks that tell one job's failure from a shared one. */
export type HealthProbes = {
  /** Whether the key is valid; null when Reducto does not say. */
  readonly probeAccount: () => Promise<boolean | null>
  readonly resultsStoreIsHealthy: () => Promise<boolean>
  /** A result of an earlier round is saved. */
  readonly hasFallback: boolean
}

export type Classified = { readonly outcome: Outcome; readonly shared: SharedFailure | null }

/** The one place that decides what a failure means, for the job and for the worker as a whole. */
export async function classify(error: unknown, probes: HealthProbes): Promise<Classified> {
  if (error instanceof ReductoError) return classifyReducto(error, probes)
  if (error instanceof ResultsUnavailable) {
    const reason = { code: error.trouble, message: error.message }
    // A lack of descriptors is short. A result too large for the free space, or one broken folder, concerns one job:
    // others can still be saved.
    if (error.trouble === 'busy' || (await probes.resultsStoreIsHealthy())) return job({ is: 'retry', reason })
    return pauseWorker(error.trouble, reason)
  }
  if (error instanceof ResultUnfinished)
    return job({ is: 'unfinished', reason: { code: error.code, message: error.message } })
  if (error instanceof ResultTooLarge) return job({ is: 'dead', reason: { code: 'too_large', message: error.message } })
  if (error instanceof DocumentTooComplex)
    return job({ is: 'dead', reason: { code: 'too_complex', message: error.message } })
  if (error instanceof DocumentCrashed)
    return job({ is: 'dead', reason: { code: 'document_crashed', message: error.message } })
  if (error instanceof ResultMissing) {
    const reason = { code: error.code, message: error.message }
    if (error.isFinal) return job({ is: 'dead', reason })
    return job({ is: 'retry', reason, ...(error.after > 0 ? { after: error.after } : {}) })
  }
  if (error instanceof Stalled) return job({ is: 'retry', reason: { code: 'stalled', message: error.message } })
  if (error instanceof NotJson)
    return job({
      is: 'retry',
      reason: { code: 'unreadable', message: `unreadable answer from Reducto: ${error.message}` },
    })
  if (error instanceof InboxUnavailable)
    return job({ is: 'wait', reason: { code: 'inbox', message: error.message }, after: RECHECK_DELAY_MS })
  return job({ is: 'retry', reason: { code: 'failed', message: textOf(error) } })
}

async function classifyReducto(error: ReductoError, probes: HealthProbes): Promise<Classified> {
  const { kind, message, status, retryAfter } = error
  const after = retryAfter === undefined ? {} : { after: retryAfter }
  const fallback = probes.hasFallback
  switch (kind) {
    case 'deleted':
      return job({
        is: 'gone',
        confirm: 0,
        fallback,
        reason: { code: 'deleted', message: `${message}: the job was deleted` },
      })
    case 'unknown_job':
      return job({
        is: 'gone',
        confirm: UNKNOWN_CONFIRMED_AFTER_MS,
        fallback,
        reason: { code: 'unknown_job', message: UNKNOWN_JOB },
      })
    case 'denied': {
      if ((await probes.probeAccount()) !== false)
        return job({ is: 'retry', reason: { code: `http_${status}`, message } })
      return pauseWorker('reducto_auth', refusedKey(status))
    }
    case 'rate_limited':
      return {
        outcome: { is: 'retry', reason: { code: 'http_429', message }, ...after },
        shared: { is: 'slow', after: retryAfter },
      }
    case 'too_large':
      return job({ is: 'dead', reason: { code: 'too_large', message } })
    case 'unreadable':
      return job({ is: 'retry', reason: { code: 'unreadable', message } })
    case 'failed':
      return job({ is: 'retry', reason: { code: status === null ? 'network' : `http_${status}`, message }, ...after })
  }
}

function job(outcome: Outcome): Classified {
  return { outcome, shared: null }
}

function pauseWorker(cause: 'reducto_auth' | 'disk' | 'results', reason: Reason): Classified {
  return { outcome: { is: 'wait', reason, after: RECHECK_DELAY_MS }, shared: { is: 'pause', cause, reason } }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}

/** `status`: the HTTP status of the answer; null where only the body counts. */
export function refusedKey(status: number | null) {
  const answer = status === null ? '' : ` (${status})`
  return {
    code: 'reducto_auth',
    message: `Reducto refuses the API key${answer}: check REDUCTO_API_KEY, REDUCTO_ENVIRONMENT and your plan`,
  } as const
}
