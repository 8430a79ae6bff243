import ipaddr from 'ipaddr.js'
import { isBlockedPort } from '../blocked-ports.ts'

/**
 * An http(s) URL, without a trailing slash unless a query is allowed. http only where nobody else can eavesdrop.
 * `called`: this service calls it with fetch, which refuses some ports.
 * @throws Error
 */
export function webUrl(text: string, { query = false, called = false } = {}): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw new Error('must be a URL that begins with https://')
  if (/\s/.test(text)) throw new Error('must be without spaces (write %20)')
  if (url.username || url.password || url.hash || (url.search && !query))
    throw new Error(`must be without user name, password${query ? '' : ', query'} and fragment`)
  if (url.protocol === 'http:' && !isPrivateHost(url.hostname))
    throw new Error('must be https:// (http:// is for loopback and private hosts)')
  // Nothing listens on port 0.
  if (called && (url.port === '0' || isBlockedPort(url)))
    throw new Error(`must have another port: calls to port ${url.port} are blocked, as in browsers`)
  return query ? url.href : url.href.replace(/\/+$/, '')
}

/** A loopback or private address, or a name that only a private network resolves. */
function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (ipaddr.isValid(host))
    return ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat'].includes(ipaddr.process(host).range())
  return !host.includes('.') || /\.(localhost|local|internal|lan|home\.arpa)$/.test(host)
}
