import { lookup as dnsLookup } from 'node:dns'
import ipaddr from 'ipaddr.js'
import { buildConnector, type Dispatcher } from 'undici'
import { CONNECT_TIMEOUT_MS, createDirectAgent, createRoutedDispatcher } from '../outbound/dispatcher.ts'
import { plainHost } from '../outbound/no-proxy.ts'
import type { ProxySettings } from '../outbound/proxy.ts'
import { addressKind, isGlobal } from './addresses.ts'
import { type Cure, TargetRefused } from './error.ts'
import { createGuardedLookup } from './guarded-lookup.ts'
import type { PrivateHosts } from './private-hosts.ts'

export type DownloadAgent = { readonly dispatcher: Dispatcher; destroy(): Promise<void> }

/** Headers must arrive within this time, ms. */
const HEADERS_TIMEOUT_MS = 30_000

/**
 * The agent of all downloads. Links come from Reducto's answer, which a document's author may have influenced.
 * Therefore only https to public addresses is allowed, except for the hosts that `isPrivateHost` accepts. Names are
 * checked when a connection is made. Behind a proxy the proxy resolves names; literal addresses and localhost are
 * refused there too.
 */
export function createDownloadAgent(options: {
  readonly isPrivateHost: PrivateHosts
  /** What to do about a refused host. */
  readonly cure: Cure
  readonly proxies: ProxySettings
  /** Maximum time between two chunks of a body, ms. */
  readonly idleTimeout: number
  /** Resolves names; default: the system's resolver. */
  readonly lookup?: typeof dnsLookup
}): DownloadAgent {
  const { isPrivateHost, proxies, cure } = options
  const lookup = options.lookup ?? dnsLookup
  const timeouts = { headersTimeout: HEADERS_TIMEOUT_MS, bodyTimeout: options.idleTimeout }
  const connector = { timeout: CONNECT_TIMEOUT_MS, allowH2: false }
  const open = buildConnector({ ...connector, lookup: lookup as never })
  const guarded = buildConnector({ ...connector, lookup: createGuardedLookup(lookup, cure) })

  const direct = createDirectAgent(timeouts, (target, callback) => {
    const url = new URL(`${target.protocol}//${target.host ?? target.hostname}`)
    return (isPrivateHost(url) ? open : guarded)(target, callback)
  })
  const routed = createRoutedDispatcher(direct, proxies, timeouts)

  const check: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (request, handler) => {
    const url = new URL(String(request.origin))
    if (!isPrivateHost(url)) refuseNotPublic(url, cure(url.host))
    return dispatch(request, handler)
  }
  return { dispatcher: routed.dispatcher.compose(check), destroy: routed.destroy }
}

/** Refuses what can be refused without a name lookup. Literal addresses are never looked up. */
function refuseNotPublic(url: URL, cure: string): void {
  if (url.protocol !== 'https:') throw new TargetRefused(url.host, 'only https is allowed there', cure)
  const host = plainHost(url.hostname)
  if (ipaddr.isValid(host) && !isGlobal(host))
    throw new TargetRefused(url.host, `it is not a public address (${addressKind(host)})`, cure)
  if (host === 'localhost' || host.endsWith('.localhost'))
    throw new TargetRefused(url.host, 'it is this machine (loopback)', cure)
}
