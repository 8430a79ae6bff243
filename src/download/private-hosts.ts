import { plainHost, splitHostPort } from '../outbound/no-proxy.ts'

/** Whether a URL's host may have a private address, and be reached over http. */
export type PrivateHosts = (url: URL) => boolean

/**
 * Reads DOWNLOAD_ALLOW_PRIVATE_HOSTS: entries `host` or `host:port`, `[::1]:9000`. An entry without a port allows every
 * port of the host, since storages use unusual ones, but only for links that Reducto itself returned.
 */
export function createPrivateHosts(entries: ReadonlySet<string>): PrivateHosts {
  const allowed = [...entries].map(splitHostPort)
  return (url) => {
    const host = plainHost(url.hostname)
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    return allowed.some((entry) => entry.host === host && (entry.port === null || entry.port === port))
  }
}
