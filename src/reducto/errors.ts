import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'reductoai'
import { parseRetryAfter } from '../retry-after.ts'

/**
 * What a failed call to Reducto means. The SDK throws a dozen classes, some of them not its own, and for half of the
 * statuses the same one: this is the one place that reads them.
 */
export class ReductoError extends Error {
  /**
   * - `unknown_job`: 404, in Reducto's own JSON. A proxy's 404 is `failed`.
   * - `deleted`: 410.
   * - `denied`: 401 or 403, in whatever form: this call may not be made with this key.
   * - `rate_limited`: 429.
   * - `too_large`: the answer is larger than what is accepted.
   * - `failed`: everything else, all worth trying again.
   */
  readonly kind: 'unknown_job' | 'deleted' | 'denied' | 'rate_limited' | 'too_large' | 'failed'
  /** The HTTP status; null when there was no answer. */
  readonly status: number | null
  /** What `Retry-After` asks for, ms. */
  readonly retryAfter: number | undefined

  constructor(kind: ReductoError['kind'], message: string, status: number | null = null, retryAfter?: number) {
    super(message)
    this.name = 'ReductoError'
    this.kind = kind
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The answer is larger than `LARGEST_ANSWER`. */
export class AnswerTooLarge extends Error {}

/** Translates whatever a call threw. `now`: wall clock, for a `Retry-After` that is a date. */
export function readError(error: unknown, now: number): ReductoError {
  if (error instanceof ReductoError) return error
  if (error instanceof AnswerTooLarge) return new ReductoError('too_large', error.message)
  if (error instanceof APIUserAbortError || error instanceof APIConnectionTimeoutError)
    return new ReductoError('failed', 'no answer from Reducto in time')
  if (error instanceof APIConnectionError)
    return new ReductoError('failed', `no connection to Reducto: ${deepestCause(error)}`)
  if (error instanceof APIError && error.status !== undefined) return readStatus(error, error.status, now)
  if ((error as Error).name === 'AbortError' || (error as Error).name === 'TimeoutError')
    return new ReductoError('failed', 'the answer from Reducto did not arrive in time')
  return new ReductoError('failed', `unreadable answer from Reducto: ${deepestCause(error)}`)
}

function readStatus(error: APIError, status: number, now: number): ReductoError {
  // The body, when it was JSON; also undefined when it broke off, and then a 404 proves nothing.
  const body: unknown = error.error
  const isJson = typeof body === 'object' && body !== null
  const message = `Reducto answered ${status}${isJson ? `: ${messageOf(body)}` : ''}`
  const retryAfter = parseRetryAfter(error.headers?.['retry-after'], now)
  if (status === 404 && isJson) return new ReductoError('unknown_job', message, status)
  if (status === 410) return new ReductoError('deleted', message, status)
  if (status === 401 || status === 403) return new ReductoError('denied', message, status)
  if (status === 429) return new ReductoError('rate_limited', message, status, retryAfter)
  return new ReductoError('failed', message, status, retryAfter)
}

/** Reducto's error bodies vary: `{error:{message}}`, `{detail}`, `{detail:[{msg}]}`, `{message}`. */
function messageOf(body: object): string {
  const { error, detail, message } = body as { error?: { message?: unknown }; detail?: unknown; message?: unknown }
  const first = Array.isArray(detail) ? (detail[0] as { msg?: unknown } | undefined)?.msg : detail
  const text = [error?.message, first, message].find((candidate) => typeof candidate === 'string')
  return text === undefined ? JSON.stringify(body) : String(text)
}

function deepestCause(error: unknown): string {
  let cause = error as { message?: string; code?: string; cause?: unknown }
  while (typeof cause.cause === 'object' && cause.cause !== null) cause = cause.cause as typeof cause
  return cause.code ?? cause.message ?? String(error)
}
