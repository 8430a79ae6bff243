import { causesOf } from '../causes.ts'
import { explainError } from '../explain-error.ts'

/** Why a download failed. Every error of a download is one of these. */
export class DownloadError extends Error {
  /**
   * - `expired`: the storage refuses the link (403, 404, 410, an expired token); a fresh link may help.
   * - `blocked`: the link currently leads where downloads may not go; time or a setting may change that.
   * - `never`: no setting could allow the link.
   * - `timeout`: a connection, an answer or the next chunk did not arrive in time.
   * - `too_large`: the file is larger than allowed.
   * - `failed`: any other failure, worth a retry.
   */
  readonly kind: 'expired' | 'blocked' | 'never' | 'failed' | 'timeout' | 'too_large'
  /** The host of the link, with its port unless it is the scheme's default; null when the link has none. */
  readonly host: string | null
  /** The storage's `Retry-After`, ms. */
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

/** An address, a scheme or a redirect that downloads may not follow, with advice. */
export class TargetRefused extends Error {
  constructor(host: string, why: string, cure: string) {
    super(`${host} is refused: ${why}. ${cure}`)
    this.name = 'TargetRefused'
  }
}

/** What to do about a refused host; the advice depends on who links to it. */
export type Cure = (host: string) => string

/** For the host of a link. */
export const ALLOW_HOST: Cure = (host) => `If downloads may reach it, add ${host} to DOWNLOAD_ALLOW_PRIVATE_HOSTS`

/** For the target of a host's redirect. */
export const LINK_DIRECTLY: Cure = () =>
  'No setting lets a redirect lead there: the storage must answer with the file, or redirect to https on a public host'

/** Error codes of undici and the system for timeouts. */
const TIMEOUT_CODES: ReadonlySet<unknown> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** Translates any error of a download of a link on `host`. */
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
  return new DownloadError(late ? 'timeout' : 'failed', `the download was cut off: ${explainError(error)}`, {
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
