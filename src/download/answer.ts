import { type Dispatcher, request } from 'undici'
import { DownloadError, TargetRefused } from './error.ts'
import { type Lifetime, untilAborted } from './lifetime.ts'
import type { PrivateHosts } from './private-hosts.ts'

export type Answer = Dispatcher.ResponseData

export type AnswerDeps = {
  /** For the host of a link, which may be a private one named in the settings. */
  readonly linked: Dispatcher
  /** For the targets of redirects to other hosts: only public addresses. */
  readonly redirected: Dispatcher
  readonly isPrivateHost: PrivateHosts
}

/** Maximum number of redirects; each target is checked like the first address. */
const MAX_REDIRECTS = 5

const MEND_STORAGE = `No setting allows that: the storage must answer with the file, after ${MAX_REDIRECTS} redirects at most`

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Requests a link and follows its redirects. Returns the first answer that is not a redirect, whatever its status.
 * Sends no credentials: storage answers 400 to a signed link with an Authorization header.
 */
export async function requestFile(link: URL, lifetime: Lifetime, deps: AnswerDeps): Promise<Answer> {
  const seen = new Set<string>()
  let url = link
  let isTrusted = true
  for (;;) {
    seen.add(url.href)
    const answer = await send(url, isTrusted ? deps.linked : deps.redirected, lifetime)
    const next = redirectOf(answer, url)
    if (next === null) return answer
    dropBody(answer)
    if (seen.has(next.href)) throw new TargetRefused(link.host, 'it redirects in a circle', MEND_STORAGE)
    if (seen.size > MAX_REDIRECTS)
      throw new TargetRefused(link.host, `it redirects more than ${MAX_REDIRECTS} times`, MEND_STORAGE)
    // A private host may redirect within itself. A redirect from another host could let a stranger reach it.
    isTrusted &&= next.origin === url.origin || (isUpgrade(url, next) && deps.isPrivateHost(next))
    url = next
  }
}

async function send(url: URL, dispatcher: Dispatcher, { signal }: Lifetime): Promise<Answer> {
  const sent = request(url, { dispatcher, signal, headers: { 'accept-encoding': 'identity' } }).then((answer) => {
    // undici reports the end of a body as an error even if nobody reads it: without a listener the process would exit.
    answer.body.on('error', () => {})
    return answer
  })
  return untilAborted(sent, signal, dropBody)
}

/** Stops reading a body and frees its connection. */
export function dropBody({ body }: Pick<Answer, 'body'>): void {
  body.on('error', () => {}).destroy()
}

/** The target of a redirect; null for any other answer. */
function redirectOf({ statusCode, headers }: Answer, from: URL): URL | null {
  const location = singleHeader(headers.location)
  if (!REDIRECTS.has(statusCode) || location === null) return null
  const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null
  if (!next || !['http:', 'https:'].includes(next.protocol))
    throw new TargetRefused(from.host, 'it redirects to something that is not an http(s) URL', MEND_STORAGE)
  next.hash = ''
  return next
}

/** From http to https on the same host with default ports: many servers redirect every request like this. */
function isUpgrade(from: URL, to: URL): boolean {
  const isPlainUpgrade = from.protocol === 'http:' && to.protocol === 'https:' && from.port === '' && to.port === ''
  return isPlainUpgrade && from.hostname === to.hostname
}

export function singleHeader(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}

/** A list header may be repeated. */
export function listHeader(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value.join(',') : value) ?? null
}

/** Maximum bytes of an error page that are read. */
const MAX_ERROR_BYTES = 4096

/**
 * Throws the error that an answer without a file means. 201 to 206 have no file either: no part was requested, and a
 * file that is being created does not exist yet. 203 is a proxy's 200.
 */
export async function refuseStatus(answer: Answer, retryAfter: number | undefined): Promise<void> {
  const { statusCode } = answer
  if (statusCode === 200 || statusCode === 203) return
  const isExpired = await meansExpired(answer)
  dropBody(answer)
  const what = statusCode < 300 ? ', which is not a complete file' : ''
  throw new DownloadError(isExpired ? 'expired' : 'failed', `the storage answered ${statusCode}${what}`, { retryAfter })
}

/** Google, and Amazon for temporary credentials, answer 400 to an expired link and give the reason in the body. */
async function meansExpired({ statusCode, body }: Answer): Promise<boolean> {
  if ([401, 403, 404, 410].includes(statusCode)) return true
  if (statusCode < 400 || statusCode > 499 || statusCode === 429) return false
  let text = ''
  try {
    for await (const chunk of body) {
      text += Buffer.from(chunk).toString('latin1')
      if (text.length >= MAX_ERROR_BYTES) break
    }
  } catch {
    // A truncated error page is judged by the part that arrived.
  }
  return /expired|TokenRefreshRequired/i.test(text.slice(0, MAX_ERROR_BYTES))
}
