import { causesOf } from '../causes.ts'
import { codeOf, describeError, isA, memberOf } from '../error-text.ts'
import { parseRetryAfter } from '../retry-after.ts'
import { createScrub, type Scrub } from '../scrub.ts'
import { sign, signatureHeaders } from '../signing.ts'
import { discard, excerptOf } from './excerpt.ts'
import { type BodyDeps, forwardBody } from './forward-body.ts'
import { type HandedOver, type HandOver, throwIfStoreFails } from './hand-over.ts'
import { TimeUp, withinTime } from './time-limit.ts'

export type ForwardOptions = BodyDeps & {
  readonly url: string
  /** All sign: while one is rotated, the other side may know either. */
  readonly secrets: readonly string[]
  /** One call, ms. */
  readonly timeout: number
  /** What makes the call; Node's own by default. */
  readonly fetch?: typeof globalThis.fetch
}

/** With these the other side says that trying again cannot help. */
const PERMANENT: ReadonlySet<number> = new Set([410, 422])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Of an answer that is no success, so much is told. Characters. */
const MAX_EXCERPT = 200
/** An answer's beginning comes with its head, or it is not waited for. ms. */
const MAX_EXCERPT_WAIT = 2_000

/**
 * Posts the record of each saved result to the user's service, signed the Standard Webhooks way. Every attempt of one
 * round has the same `webhook-id`. A 2xx is success, 410 and 422 refuse the result for good; a redirect is not followed,
 * and is a failure like all else.
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
      response = await withinTime(timeout, signal, async (either) => {
        const body = await forwardBody(record, deps, either)
        const signed = sign(`${record.job_id}_${round}`, new Date(now()), body, secrets)
        const headers = { 'content-type': 'application/json', ...signatureHeaders(signed, 'webhook') }
        doing = 'call'
        const answer = await fetch(url, { method: 'POST', redirect: 'manual', headers, body, signal: either })
        // Nobody waits for it any more.
        if (either.aborted) discard(answer.body)
        return answer
      })
    } catch (error) {
      if (signal.aborted) return failed('interrupted', 'the service stops')
      if (isA(error, TimeUp)) return failed('forward', `FORWARD_URL did not answer within ${timeout} ms`)
      throwIfStoreFails(error)
      if (doing === 'read') return failed('saved_file', `the saved result cannot be read: ${describeError(error)}`)
      return failed('forward', `FORWARD_URL cannot be reached: ${connectionError(error)}`)
    }
    if (response.ok) {
      discard(response.body)
      return { is: 'taken' }
    }
    const left = Math.min(MAX_EXCERPT_WAIT, began + timeout - performance.now())
    return judge(response, scrub(await excerptOf(response, Math.max(left, 1), signal), MAX_EXCERPT))
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
    return `, a redirect: give FORWARD_URL its target${target ? `, ${target.href.slice(0, MAX_EXCERPT)}` : ''}`
  }
}

/** The secrets of this way, also where the settings' own scrub does not know them: a URL's query is often a token. */
function withOwnSecrets({ url, secrets, scrub }: ForwardOptions): Scrub {
  const { search = '', searchParams, username = '', password = '' } = URL.parse(url) ?? {}
  const parameters = search.slice(1).split('&')
  const own = createScrub([...secrets, ...parameters, ...(searchParams?.values() ?? []), username, password])
  return (text, longest) => scrub(own(text, MAX_SCRUBBED), longest)
}

/** More than any scrub leaves of a text. Characters. */
const MAX_SCRUBBED = 4_000

/** The code of what went wrong, or what `fetch` and its causes say. */
function connectionError(error: unknown): string {
  const failure = causesOf(error).find((cause) => typeof memberOf(cause, 'code') === 'string')
  return codeOf(failure) ?? describeError(error)
}
