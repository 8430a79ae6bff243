import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'reductoai'
import { causesOf } from '../causes.ts'
import { explainError } from '../explain-error.ts'
import { parseRetryAfter } from '../retry-after.ts'

/** So much of what Reducto says is kept in a message. */
const MAX_TEXT = 300

/**
 * What a failed call to Reducto means. The SDK throws a dozen classes, some of them not its own, and for half of the
 * statuses the same one: this is the one place that reads them.
 */
export class ReductoError extends Error {
  /**
   * - `unknown_job`: 404, in Reducto's own words (JSON with an error in it). A proxy's 404 is `failed`.
   * - `deleted`: 410.
   * - `denied`: 401 or 403, in whatever form: this call may not be made with this key.
   * - `rate_limited`: 429.
   * - `too_large`: the answer is larger than what is accepted.
   * - `unreadable`: an answer with a status of success and without what it must have: empty, `null`, no JSON object.
   * - `failed`: everything else, all worth trying again.
   */
  readonly kind: 'unknown_job' | 'deleted' | 'denied' | 'rate_limited' | 'too_large' | 'unreadable' | 'failed'
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

/** The answer is larger than `MAX_ANSWER_BYTES`. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

/** Translates whatever a call threw. `now`: wall clock, for a `Retry-After` that is a date. */
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
  // The body, when it was JSON; undefined when it broke off, and then a 404 proves nothing.
  const body: unknown = error.error
  const text = messageOf(body)
  const message = `Reducto answered ${status}${text === null ? '' : `: ${text.slice(0, MAX_TEXT)}`}`
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

/** Whether a body says in one of Reducto's ways what is wrong. `{}`, or a list, comes from whatever stands in between. */
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
