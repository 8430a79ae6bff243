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

/** The target of a link: a complete file, decoded. Reading `body` throws DownloadError. */
type Downloaded = { readonly contentType: string | null; readonly body: AsyncIterable<Uint8Array> }

/**
 * Opens a download of at most `maxBytes` decoded bytes. The caller must read the body to its end or return its
 * iterator; an unread body is dropped after a minute. Throws DownloadError.
 */
export type Download = (
  url: string,
  options: { readonly signal: AbortSignal; readonly maxBytes: number },
) => Promise<Downloaded>

/** Maximum idle time of a body, and maximum time until an answer begins, including redirects, ms. */
const IDLE_TIMEOUT_MS = 60_000
const ANSWER_TIMEOUT_MS = 60_000

/** No known type is longer, characters. */
const MAX_CONTENT_TYPE_CHARS = 255

export type DownloaderOptions = {
  /** `host` or `host:port`: hosts on private addresses that links may lead to, also over http. */
  readonly allowPrivateHosts: ReadonlySet<string>
  readonly proxies?: ProxySettings
  readonly clock: Clock
  readonly idleTimeout?: number
  readonly answerTimeout?: number
  /** Resolves names; default: the system's resolver. */
  readonly lookup?: typeof dnsLookup
}

/** Creates downloads over connections that `close` ends. */
export function createDownloader(options: DownloaderOptions): { readonly download: Download; close(): Promise<void> } {
  const {
    clock,
    lookup,
    proxies = NO_PROXIES,
    idleTimeout = IDLE_TIMEOUT_MS,
    answerTimeout = ANSWER_TIMEOUT_MS,
  } = options
  const isPrivateHost = createPrivateHosts(options.allowPrivateHosts)
  const shared = { proxies, idleTimeout, ...(lookup ? { lookup } : {}) }
  // Two agents: a connection made for a link is never used for another host's redirect.
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

  /** Returns an answer with a file that began before its deadline. */
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

/** Checks the headers before anything is read. Returns the codings to undo. */
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

/** The media type is stored with every file. */
function contentTypeOf({ headers }: Answer): string | null {
  const type = singleHeader(headers['content-type'])
  return type === null || type.length > MAX_CONTENT_TYPE_CHARS ? null : type
}

/** A link that is not an http(s) URL can never be followed, whatever the settings are. */
function parseLink(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url) throw new DownloadError('never', 'the link is not a URL')
  if (!['http:', 'https:'].includes(url.protocol))
    throw new DownloadError('never', 'the link is neither https nor http', { host: url.host || null })
  url.hash = ''
  return url
}
