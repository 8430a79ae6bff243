import { type Dispatcher, request } from 'undici'
import { DownloadError, TargetRefused } from './error.ts'
import { type Lifetime, untilAborted } from './lifetime.ts'
import type { PrivateHosts } from './private-hosts.ts'

export type Answer = Dispatcher.ResponseData

export type AnswerDeps = {
  /** For the host of a link, which may be a private one that the settings name. */
  readonly linked: Dispatcher
  /** For where other hosts redirect to: public addresses alone. */
  readonly redirected: Dispatcher
  readonly isPrivateHost: PrivateHosts
}

/** At most so many redirects, each checked like the first address. */
const MAX_REDIRECTS = 5

const MEND_STORAGE = `No setting allows that: the storage must answer with the file, after ${MAX_REDIRECTS} redirects at most`

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Asks for a link and follows its redirects. The first answer that is none is returned, whatever its status. No
 * credentials go along: storage answers 400 to a signed link with an Authorization header.
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
    // A private host may move within itself. That others lead to it is how a stranger would reach it.
    isTrusted &&= next.origin === url.origin || (isUpgrade(url, next) && deps.isPrivateHost(next))
    url = next
  }
}

async function send(url: URL, dispatcher: Dispatcher, { signal }: Lifetime): Promise<Answer> {
  const sent = request(url, { dispatcher, signal, headers: { 'accept-encoding': 'identity' } }).then((answer) => {
    // undici tells a body of its end as an error, also when nobody reads it: without a listener the process would end.
    answer.body.on('error', () => {})
    return answer
  })
  return untilAborted(sent, signal, dropBody)
}

/** Takes no more of a body, and frees its connection. */
export function dropBody({ body }: Pick<Answer, 'body'>): void {
  body.on('error', () => {}).destroy()
}

/** Where an answer leads to; null when it is no redirect. */
function redirectOf({ statusCode, headers }: Answer, from: URL): URL | null {
  const location = singleHeader(headers.location)
  if (!REDIRECTS.has(statusCode) || location === null) return null
  const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null
  if (!next || !['http:', 'https:'].includes(next.protocol))
    throw new TargetRefused(from.host, 'it redirects to what is no http(s) URL', MEND_STORAGE)
  next.hash = ''
  return next
}

/** From http to https on the same host, both on their own ports: what many servers do with every request. */
function isUpgrade(from: URL, to: URL): boolean {
  const isPlainUpgrade = from.protocol === 'http:' && to.protocol === 'https:' && from.port === '' && to.port === ''
  return isPlainUpgrade && from.hostname === to.hostname
}

export function singleHeader(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}

/** A list header may come in several lines. */
export function listHeader(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value.join(',') : value) ?? null
}

/** So much of an error's page is looked at, B. */
const MAX_ERROR_BYTES = 4096

/**
 * Throws what an answer without a file means. 201 to 206 have none either: nobody asked for a part, and what is being
 * made is not there yet. 203 is a proxy's 200.
 */
export async function refuseStatus(answer: Answer, retryAfter: number | undefined): Promise<void> {
  const { statusCode } = answer
  if (statusCode === 200 || statusCode === 203) return
  const isExpired = await meansExpired(answer)
  dropBody(answer)
  const what = statusCode < 300 ? ', which is no whole file' : ''
  throw new DownloadError(isExpired ? 'expired' : 'failed', `the storage answered ${statusCode}${what}`, { retryAfter })
}

/** Google, and Amazon for temporary credentials, say 400 to a link that has expired, and why in the body. */
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
    // A page that breaks off is judged by what came of it.
  }
  return /expired|TokenRefreshRequired/i.test(text.slice(0, MAX_ERROR_BYTES))
}
