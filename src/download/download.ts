import type { lookup as dnsLookup } from 'node:dns'
import type { Clock } from '../clock.ts'
import { NO_PROXIES, type ProxySettings } from '../outbound/proxy.ts'
import { parseRetryAfter } from '../retry-after.ts'
import { createDownloadAgent } from './agent.ts'
import {
  type Answer,
  type AnswerDeps,
  dropBody,
  listHeader,
  refuseStatus,
  requestFile,
  singleHeader,
} from './answer.ts'
import { createBody, maxWireBytes, tooLarge } from './body.ts'
import { codingsOf } from './decode.ts'
import { ALLOW_HOST, DownloadError, LINK_DIRECTLY, readDownloadError } from './error.ts'
import { createLifetime, type Lifetime } from './lifetime.ts'
import { createPrivateHosts } from './private-hosts.ts'

export { DownloadError } from './error.ts'

/** What a link led to: a whole file, decoded. Reading `body` throws DownloadError. */
type Downloaded = { readonly contentType: string | null; readonly body: AsyncIterable<Uint8Array> }

/**
 * Opens a download of at most `maxBytes` decoded bytes. The body must be read to its end or its iterator returned; one
 * that nobody reads is dropped after a minute. Throws DownloadError.
 */
export type Download = (
  url: string,
  options: { readonly signal: AbortSignal; readonly maxBytes: number },
) => Promise<Downloaded>

/** A body may be idle for this long, and an answer must begin within this, redirects included. ms. */
const IDLE_TIMEOUT = 60_000
const ANSWER_TIMEOUT = 60_000

/** A longer one says nothing that anybody knows. */
const MAX_CONTENT_TYPE = 255

export type DownloaderOptions = {
  /** `host` or `host:port`: hosts on private addresses that links may lead to, over http too. */
  readonly allowPrivateHosts: ReadonlySet<string>
  readonly proxies?: ProxySettings
  readonly clock: Clock
  readonly idleTimeout?: number
  readonly answerTimeout?: number
  /** How names are looked up: the system's resolver. */
  readonly lookup?: typeof dnsLookup
}

/** Downloads, over connections that `close` ends. */
export function createDownloader(options: DownloaderOptions): { readonly download: Download; close(): Promise<void> } {
  const { clock, lookup, proxies = NO_PROXIES, idleTimeout = IDLE_TIMEOUT, answerTimeout = ANSWER_TIMEOUT } = options
  const isPrivateHost = createPrivateHosts(options.allowPrivateHosts)
  const shared = { proxies, idleTimeout, ...(lookup ? { lookup } : {}) }
  // Two agents: a connection that was made for a link is never used for a redirect of somebody else.
  const linked = createDownloadAgent({ ...shared, isPrivateHost, cure: ALLOW_HOST })
  const redirected = createDownloadAgent({ ...shared, isPrivateHost: () => false, cure: LINK_DIRECTLY })
  const deps: AnswerDeps = { linked: linked.dispatcher, redirected: redirected.dispatcher, isPrivateHost }

  async function download(url: string, { signal, maxBytes }: Parameters<Download>[1]): Promise<Downloaded> {
    const link = parseLink(url)
    const lifetime = createLifetime(signal)
    try {
      const answer = await answered(link, lifetime)
      const codings = checkHead(answer, maxBytes)
      const { host } = link
      const bounds = { codings, maxBytes, host, clock, idleTimeout, onEnd: lifetime.end }
      return { contentType: contentTypeOf(answer), body: createBody(answer.body, bounds) }
    } catch (error) {
      lifetime.end()
      throw readDownloadError(error, link.host)
    }
  }

  /** An answer with a file, begun before its deadline. */
  async function answered(link: URL, lifetime: Lifetime): Promise<Answer> {
    const late = new DownloadError('timeout', `no answer from the storage within ${answerTimeout} ms`)
    const timer = setTimeout(() => lifetime.abort(late), answerTimeout)
    try {
      const answer = await requestFile(link, lifetime, deps)
      await refuseStatus(answer, parseRetryAfter(singleHeader(answer.headers['retry-after']), clock.now()))
      return answer
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    download,
    close: async () => void (await Promise.all([linked.destroy(), redirected.destroy()])),
  }
}

/** Looks at what is declared before anything is read. Returns the codings that have to be undone. */
function checkHead(answer: Answer, maxBytes: number): readonly string[] {
  try {
    const codings = codingsOf(listHeader(answer.headers['content-encoding']))
    const declared = Number(singleHeader(answer.headers['content-length']) ?? 0)
    if (declared > (codings.length === 0 ? maxBytes : maxWireBytes(maxBytes))) throw tooLarge(maxBytes)
    return codings
  } catch (error) {
    dropBody(answer)
    throw error
  }
}

/** It is kept with every file. */
function contentTypeOf({ headers }: Answer): string | null {
  const type = singleHeader(headers['content-type'])
  return type === null || type.length > MAX_CONTENT_TYPE ? null : type
}

/** What is no http(s) URL can never be followed, whatever the settings are. */
function parseLink(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url) throw new DownloadError('never', 'the link is not a URL')
  if (!['http:', 'https:'].includes(url.protocol))
    throw new DownloadError('never', 'the link is neither https nor http', { host: url.host || null })
  url.hash = ''
  return url
}
