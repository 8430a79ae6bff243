import { causesOf } from '../causes.ts'
import { codeOf, describeError, isA, memberOf } from '../error-text.ts'
import { parseRetryAfter } from '../retry-after.ts'
import { sign, signatureHeaders } from '../signing.ts'
import { createScrub, type Scrub } from '../telemetry/scrub.ts'
import { discard, excerptOf } from './excerpt.ts'
import { type BodyDeps, forwardBody } from './forward-body.ts'
import { type HandedOver, type HandOver, throwIfStoreFails } from './hand-over.ts'
import { TimeoutError, withTimeout } from './time-limit.ts'

export type ForwardOptions = BodyDeps & {
  readonly url: string
  /** All of them sign: during a rotation the other side may know either. */
  readonly secrets: readonly string[]
  /** Maximum time of one call, ms. */
  readonly timeout: number
  /** Makes the call; default: Node's own. */
  readonly fetch?: typeof globalThis.fetch
}

/** With these statuses the other side says that a retry cannot help. */
const PERMANENT: ReadonlySet<number> = new Set([410, 422])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Maximum characters that are quoted from an unsuccessful answer. */
const MAX_EXCERPT_CHARS = 200
/** Maximum time to wait for the beginning of an answer's body, ms. */
const MAX_EXCERPT_WAIT_MS = 2_000

/**
 * Posts the record of each saved result to the user's service, signed as Standard Webhooks requires. Every attempt of
 * one round has the same `webhook-id`. A 2xx is success, 410 and 422 refuse the result for good. A redirect is not
 * followed and is a failure, like every other answer.
 */
export function createForward(options: ForwardOptions): HandOver {
  const deps = { ...options, scrub: withOwnSecrets(options) }
  const { url, secrets, timeout, now, scrub, fetch = globalThis.fetch } = deps

  function failed(code: string, text: string): HandedOver {
    return { is: 'retry', reason: { code, message: scrub(text) } }
  }

  return async ({ record, round }, signal) => {
    const began = performance.now()
    let doing: 'read' | 'call' = 'read'
    let response: Response
    try {
      response = await withTimeout(timeout, signal, async (either) => {
        const body = await forwardBody(record, deps, either)
        const signed = sign(`${record.job_id}_${round}`, new Date(now()), body, secrets)
        const headers = { 'content-type': 'application/json', ...signatureHeaders(signed, 'webhook') }
        doing = 'call'
        const answer = await fetch(url, { method: 'POST', redirect: 'manual', headers, body, signal: either })
        // Nobody waits for this answer any more.
        if (either.aborted) discard(answer.body)
        return answer
      })
    } catch (error) {
      if (signal.aborted) return failed('interrupted', 'the service stops')
      if (isA(error, TimeoutError)) return failed('forward', `FORWARD_URL did not answer within ${timeout} ms`)
      throwIfStoreFails(error)
      if (doing === 'read') return failed('saved_file', `the saved result cannot be read: ${describeError(error)}`)
      return failed('forward', `FORWARD_URL cannot be reached: ${connectionError(error)}`)
    }
    if (response.ok) {
      discard(response.body)
      return { is: 'taken' }
    }
    const left = Math.min(MAX_EXCERPT_WAIT_MS, began + timeout - performance.now())
    return judge(response, scrub(await excerptOf(response, Math.max(left, 1), signal), MAX_EXCERPT_CHARS))
  }

  function judge({ status, headers }: Response, excerpt: string): HandedOver {
    const said = `FORWARD_URL answered ${status}${redirection(status, headers)}${excerpt === '' ? '' : `: ${excerpt}`}`
    const reason = { code: `forward_${status}`, message: scrub(said) }
    if (PERMANENT.has(status)) return { is: 'refused', reason }
    const after = parseRetryAfter(headers.get('retry-after'), now())
    return { is: 'retry', reason, ...(after === undefined ? {} : { after }) }
  }

  function redirection(status: number, headers: Headers): string {
    const location = headers.get('location')
    if (!REDIRECTS.has(status)) return ''
    const target = location === null ? null : URL.parse(location, url)
    return `, a redirect: give FORWARD_URL its target${target ? `, ${target.href.slice(0, MAX_EXCERPT_CHARS)}` : ''}`
  }
}

/**
 * Also removes this service's URL and secrets, which the settings' own scrubber may not know: a URL's query is often a
 * token.
 */
function withOwnSecrets({ url, secrets, scrub }: ForwardOptions): Scrub {
  const { search = '', searchParams, username = '', password = '' } = URL.parse(url) ?? {}
  const parameters = search.slice(1).split('&')
  const own = createScrub([...secrets, ...parameters, ...(searchParams?.values() ?? []), username, password])
  return (text, longest) => scrub(own(text, MAX_SCRUBBED_CHARS), longest)
}

/** More than any scrubber leaves of a text, characters. */
const MAX_SCRUBBED_CHARS = 4_000

/** The code of the error, or the messages of `fetch` and its causes. */
function connectionError(error: unknown): string {
  const failure = causesOf(error).find((cause) => typeof memberOf(cause, 'code') === 'string')
  return codeOf(failure) ?? describeError(error)
}
