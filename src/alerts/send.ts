import { describeError } from '../error-text.ts'
import { discard, excerptOf } from '../handler/excerpt.ts'
import { TimeoutError, withTimeout } from '../handler/time-limit.ts'
import { sign, signatureHeaders } from '../signing.ts'
import type { CleanText, Scrub } from '../telemetry/scrub.ts'

/** Time limit of one call, ms: as long as Svix gives a webhook. */
const TIMEOUT_MS = 15_000
/** Maximum characters that are quoted from an unsuccessful answer, and the time to wait for them, ms. */
const MAX_EXCERPT_CHARS = 200
const MAX_EXCERPT_WAIT_MS = 2_000

export type SendDeps = {
  readonly url: string
  /** All of them sign: during a rotation the other side may know either. */
  readonly secrets: readonly string[]
  readonly scrub: Scrub
  readonly now: () => number
  readonly fetch: typeof globalThis.fetch
}

/** Posts a text once. Resolves to null when the other side has taken it (2xx), else to why not. Never rejects. */
export type Send = (id: string, body: string, signal: AbortSignal) => Promise<CleanText | null>

/** Signs each text as Standard Webhooks requires, like a forward. A redirect is not followed and is a failure. */
export function createSend({ url, secrets, scrub, now, fetch }: SendDeps): Send {
  return async (id, body, signal) => {
    try {
      const response = await withTimeout(TIMEOUT_MS, signal, async (either) => {
        const headers = signatureHeaders(sign(id, new Date(now()), body, secrets), 'webhook')
        const answer = await fetch(url, {
          method: 'POST',
          redirect: 'manual',
          headers: { 'content-type': 'application/json', ...headers },
          body,
          signal: either,
        })
        if (either.aborted) discard(answer.body)
        return answer
      })
      if (response.ok) {
        discard(response.body)
        return null
      }
      const excerpt = await excerptOf(response, MAX_EXCERPT_WAIT_MS, signal)
      const quoted = excerpt === '' ? '' : `: ${scrub(excerpt, MAX_EXCERPT_CHARS)}`
      return scrub(`ALERT_URL answered ${response.status}${quoted}`)
    } catch (error) {
      if (error instanceof TimeoutError) return scrub(`ALERT_URL did not answer within ${TIMEOUT_MS / 1000} s`)
      return scrub(`ALERT_URL cannot be reached: ${describeError(error)}`)
    }
  }
}
