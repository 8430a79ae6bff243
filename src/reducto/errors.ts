import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'reductoai'
import { causesOf } from '../causes.ts'
import { explainError } from '../explain-error.ts'
import { parseRetryAfter } from '../retry-after.ts'

/** Maximum characters of Reducto's text in a message. */
const MAX_TEXT_CHARS = 300

/**
 * A failed call to Reducto. The SDK throws a dozen classes, some of them not its own, and one class for half of the
 * statuses: this is the only place that interprets them.
 */
export class ReductoError extends Error {
  /**
   * - `unknown_job`: a 404 from Reducto itself (JSON with an error in it). A proxy's 404 is `failed`.
   * - `deleted`: 410.
   * - `denied`: 401 or 403, in any form: this key may not make this call.
   * - `rate_limited`: 429.
   * - `too_large`: the answer is larger than allowed.
   * - `unreadable`: a success status with an invalid body: empty, `null`, not a JSON object.
   * - `failed`: everything else, worth a retry.
   */
  readonly kind: 'unknown_job' | 'deleted' | 'denied' | 'rate_limited' | 'too_large' | 'unreadable' | 'failed'
  /** The HTTP status; null when there was no answer. */
  readonly status: number | null
  /** `Retry-After`, ms. */
  readonly retryAfter: number | undefined

  constructor(kind: ReductoError['kind'], message: string, status: number | null = null, retryAfter?: number) {
    super(message)
    this.name = 'ReductoError'
    this.kind = kind
    this.status = status
    this.retryAfter = retryAfter
  }
}

/** The answer is larger than `MAX_ANSWER_BYTES`. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

/** Translates any error of a call. `now`: wall clock, for a `Retry-After` that is a date. */
export function readError(error: unknown, now: number): ReductoError {
  const causes = causesOf(error)
  const known = causes.find((cause) => cause instanceof ReductoError)
  if (known) return known
  const large = causes.find((cause) => cause instanceof AnswerTooLarge)
  if (large) return new ReductoError('too_large', large.message)
  if (error instanceof APIUserAbortError || error instanceof APIConnectionTimeoutError)
    return new ReductoError('failed', 'no answer from Reducto in time')
  if (error instanceof APIConnectionError)
    return new ReductoError('failed', `no connection to Reducto: ${explainError(error)}`)
  if (error instanceof APIError && error.status !== undefined) return readStatus(error, error.status, now)
  return new ReductoError('failed', `unreadable answer from Reducto: ${explainError(error)}`)
}

function readStatus(error: APIError, status: number, now: number): ReductoError {
  // The body if it was JSON; undefined if it was truncated, in which case a 404 proves nothing.
  const body: unknown = error.error
  const text = messageOf(body)
  const message = `Reducto answered ${status}${text === null ? '' : `: ${text.slice(0, MAX_TEXT_CHARS)}`}`
  const retryAfter = parseRetryAfter(error.headers?.['retry-after'], now)
  if (status === 404 && isReductos(body)) return new ReductoError('unknown_job', message, status)
  if (status === 410) return new ReductoError('deleted', message, status)
  if (status === 401 || status === 403) return new ReductoError('denied', message, status)
  if (status === 429) return new ReductoError('rate_limited', message, status, retryAfter)
  return new ReductoError('failed', message, status, retryAfter)
}

/** Reducto's error bodies vary: `{error:{message}}`, `{detail}`, `{detail:[{msg}]}`, `{message}`. */
function messageOf(body: unknown): string | null {
  if (typeof body !== 'object' || body === null) return null
  return wordsOf(body) ?? JSON.stringify(body)
}

/** Whether a body describes an error in one of Reducto's forms. `{}` or a list comes from a proxy in between. */
function isReductos(body: unknown): boolean {
  return typeof body === 'object' && body !== null && wordsOf(body) !== null
}

function wordsOf(body: object): string | null {
  const { error, detail, message } = body as { error?: unknown; detail?: unknown; message?: unknown }
  const { message: inError, name } = ((typeof error === 'object' && error) || {}) as {
    message?: unknown
    name?: unknown
  }
  const first: unknown = Array.isArray(detail) ? detail[0] : detail
  const { msg } = ((typeof first === 'object' && first) || {}) as { msg?: unknown }
  const text = [inError, msg, first, message, error, name].find((one) => typeof one === 'string' && one !== '')
  return text === undefined ? null : String(text)
}
