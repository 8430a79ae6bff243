import { DocumentTooComplex, NotJson } from '../answer/errors.ts'
import { InboxUnavailable } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import { ReductoError } from '../reducto/errors.ts'
import { ResultsUnavailable } from '../results/results.ts'
import { LinkExpired, ResultMissing, ResultTooLarge } from './materialise.ts'
import type { Trouble } from './run-job.ts'

/** Reducto must keep saying that it does not know a job for so long before that is believed, ms. */
export const UNKNOWN_CONFIRMED_AFTER = 15 * 60_000

/** Jobs that are held up by what is not their fault are due again as soon as the worker works again, ms. */
const AGAIN = 1_000

const UNKNOWN_JOB =
  'Reducto knows no such job under this key and region: purged, deleted, a test event, or submitted with another key'

/** What has to be asked to tell one job's trouble from everybody's. */
export type Asking = {
  readonly probeAccount: () => Promise<boolean | null>
  readonly storeIsFine: () => Promise<boolean>
}

/** The one place that decides what a failure means: for the job, and for the worker as a whole. */
export async function classify(error: unknown, ask: Asking): Promise<{ outcome: Outcome; trouble: Trouble | null }> {
  if (error instanceof ReductoError) return classifyReducto(error, ask.probeAccount)
  if (error instanceof ResultsUnavailable) {
    const reason = { code: error.trouble, message: error.message }
    // A result too large for the room there is, or a folder that alone is broken: others can be saved.
    return (await ask.storeIsFine()) ? job({ is: 'retry', reason }) : notItsFault(error.trouble, reason)
  }
  if (error instanceof ResultTooLarge) return job({ is: 'dead', reason: { code: 'too_large', message: error.message } })
  if (error instanceof ResultMissing)
    return job({ is: error.retry ? 'retry' : 'dead', reason: { code: 'result_missing', message: error.message } })
  if (error instanceof LinkExpired)
    return job({ is: 'retry', reason: { code: 'link_expired', message: error.message } })
  if (error instanceof DocumentTooComplex)
    return job({ is: 'dead', reason: { code: 'too_complex', message: error.message } })
  if (error instanceof NotJson)
    return job({
      is: 'retry',
      reason: { code: 'unreadable', message: `unreadable answer from Reducto: ${error.message}` },
    })
  if (error instanceof InboxUnavailable)
    return job({ is: 'wait', reason: { code: 'inbox', message: error.message }, after: AGAIN })
  return job({ is: 'retry', reason: { code: 'failed', message: String((error as Error | null)?.message ?? error) } })
}

async function classifyReducto(error: ReductoError, probeAccount: () => Promise<boolean | null>) {
  const { kind, message, status, retryAfter } = error
  const after = retryAfter === undefined ? {} : { after: retryAfter }
  switch (kind) {
    case 'deleted':
      return job({ is: 'gone', confirm: 0, reason: { code: 'deleted', message: `${message}: the job was deleted` } })
    case 'unknown_job':
      return job({
        is: 'gone',
        confirm: UNKNOWN_CONFIRMED_AFTER,
        reason: { code: 'unknown_job', message: UNKNOWN_JOB },
      })
    case 'denied': {
      if ((await probeAccount()) !== false) return job({ is: 'retry', reason: { code: `http_${status}`, message } })
      const reason = {
        code: 'reducto_auth',
        message: `Reducto refuses the API key (${status}): check REDUCTO_API_KEY, REDUCTO_ENVIRONMENT and your plan`,
      }
      return notItsFault('reducto_auth', reason)
    }
    case 'rate_limited':
      return {
        outcome: { is: 'retry', reason: { code: 'http_429', message }, ...after } as const,
        trouble: { is: 'slow', after: retryAfter } as const,
      }
    case 'too_large':
      return job({ is: 'dead', reason: { code: 'too_large', message } })
    case 'failed':
      return job({ is: 'retry', reason: { code: status === null ? 'network' : `http_${status}`, message }, ...after })
  }
}

function job(outcome: Outcome): { outcome: Outcome; trouble: null } {
  return { outcome, trouble: null }
}

function notItsFault(cause: 'reducto_auth' | 'disk' | 'results', reason: Reason) {
  return {
    outcome: { is: 'wait', reason, after: AGAIN } as const,
    trouble: { is: 'pause', cause, reason } as const,
  }
}
