import type { IncomingMessage } from 'node:http'

/**
 * Whether a page of this very origin made the request: what a session may change things with. Browsers say so in
 * `Sec-Fetch-Site`, which no page can set; over plain HTTP they leave it out, and `Origin` must name the host that was called.
 * A request that has neither comes from no browser, which needs no session.
 */
export function isSameOrigin({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin, host } = headers
  if (origin === undefined || host === undefined) return false
  return hostOf(origin) === host.toLowerCase()
}

/** Whether a link from elsewhere is followed: the browser keeps the cookie back then. */
export function isNavigationFromElsewhere({ headers }: IncomingMessage): boolean {
  return headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] === 'navigate'
}

/** As in a `Host` header; null for what is no address of a page, such as `null`. */
function hostOf(origin: string): string | null {
  const { protocol, host } = URL.parse(origin) ?? {}
  return (protocol === 'http:' || protocol === 'https:') && host ? host : null
}
