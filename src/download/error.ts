import { causesOf } from '../causes.ts'
import { explainError } from '../explain-error.ts'

/** Why a download failed. Every error of a download is one of these. */
export class DownloadError extends Error {
  /**
   * - `expired`: the storage refuses the link (403, 404, 410, a token that expired); a fresh link may help.
   * - `blocked`: the link leads, for now, where downloads may not go. Time, or a setting, may mend it.
   * - `never`: no setting could allow the link.
   * - `timeout`: nothing came in time: a connection, an answer, or the next piece.
   * - `too_large`: the file is larger than it may be.
   * - `failed`: everything else, worth trying again.
   */
  readonly kind: 'expired' | 'blocked' | 'never' | 'failed' | 'timeout' | 'too_large'
  /** The host of the link, with its port unless that is the scheme's own; null when the link has none. */
  readonly host: string | null
  /** What the storage's `Retry-After` asks for, ms. */
  readonly retryAfter: number | undefined

  constructor(
    kind: DownloadError['kind'],
    message: string,
    more: { readonly host?: string | null; readonly retryAfter?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in more ? { cause: more.cause } : undefined)
    this.name = 'DownloadError'
    this.kind = kind
    this.host = more.host ?? null
    this.retryAfter = more.retryAfter
  }
}

/** An address, a scheme or a redirect that downloads may not follow, and what would help. */
export class TargetRefused extends Error {
  constructor(host: string, why: string, cure: string) {
    super(`${host} is refused: ${why}. ${cure}`)
    this.name = 'TargetRefused'
  }
}

/** What helps where a host is refused: that depends on who leads to it. */
export type Cure = (host: string) => string

/** For the host of a link. */
export const ALLOW_HOST: Cure = (host) => `If downloads may reach it, add ${host} to DOWNLOAD_ALLOW_PRIVATE_HOSTS`

/** For where a host redirects to. */
export const LINK_DIRECTLY: Cure = () =>
  'No setting lets a redirect lead there: the storage must answer with the file, or redirect to https on a public host'

/** How undici and the system say that nothing came in time. */
const TIMEOUT_CODES: ReadonlySet<unknown> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** Translates whatever a download of a link on `host` threw. */
export function readDownloadError(error: unknown, host: string | null): DownloadError {
  const causes = causesOf(error)
  const known = causes.find((cause) => cause instanceof DownloadError)
  if (known) {
    if (known.host === host) return known
    const { kind, message, retryAfter } = known
    return new DownloadError(kind, message, { host, retryAfter, cause: error })
  }
  const refused = causes.find((cause) => cause instanceof TargetRefused)
  if (refused) return new DownloadError('blocked', refused.message, { host })
  const late = causes.some((cause) => TIMEOUT_CODES.has(codeOf(cause)))
  return new DownloadError(late ? 'timeout' : 'failed', `the download broke off: ${explainError(error)}`, {
    host,
    cause: error,
  })
}

function codeOf(error: unknown): unknown {
  try {
    return (error as { code?: unknown } | null | undefined)?.code
  } catch {
    return undefined
  }
}
