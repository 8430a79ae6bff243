import { lookup as dnsLookup } from 'node:dns'
import ipaddr from 'ipaddr.js'
import { buildConnector, type Dispatcher } from 'undici'
import { CONNECT_TIMEOUT, createDirectAgent, createRoutedDispatcher } from '../outbound/dispatcher.ts'
import { plainHost } from '../outbound/no-proxy.ts'
import type { ProxySettings } from '../outbound/proxy.ts'
import { addressKind, isGlobal } from './addresses.ts'
import { type Cure, TargetRefused } from './error.ts'
import { createGuardedLookup } from './guarded-lookup.ts'
import type { PrivateHosts } from './private-hosts.ts'

export type DownloadAgent = { readonly dispatcher: Dispatcher; destroy(): Promise<void> }

/** Headers come within this, ms. */
const HEADERS_TIMEOUT = 30_000

/**
 * What downloads go through. Links come from an answer of Reducto's, which a document's author may have influenced: so
 * only https to public addresses is allowed, apart from the hosts that `isPrivateHost` names. Names are checked when
 * they are connected to. Behind a proxy it is the proxy that looks names up; what is written as an address, and
 * localhost, is refused there too.
 */
export function createDownloadAgent(options: {
  readonly isPrivateHost: PrivateHosts
  /** What helps where a host is refused. */
  readonly cure: Cure
  readonly proxies: ProxySettings
  /** Between two pieces of a body, ms. */
  readonly idleTimeout: number
  /** How names are looked up: the system's resolver. */
  readonly lookup?: typeof dnsLookup
}): DownloadAgent {
  const { isPrivateHost, proxies, cure } = options
  const lookup = options.lookup ?? dnsLookup
  const timeouts = { headersTimeout: HEADERS_TIMEOUT, bodyTimeout: options.idleTimeout }
  const connector = { timeout: CONNECT_TIMEOUT, allowH2: false }
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

/** What can be told without looking a name up. Addresses that are written as such are never looked up. */
function refuseNotPublic(url: URL, cure: string): void {
  if (url.protocol !== 'https:') throw new TargetRefused(url.host, 'only https is allowed there', cure)
  const host = plainHost(url.hostname)
  if (ipaddr.isValid(host) && !isGlobal(host))
    throw new TargetRefused(url.host, `it is not a public address (${addressKind(host)})`, cure)
  if (host === 'localhost' || host.endsWith('.localhost'))
    throw new TargetRefused(url.host, 'it is this machine (loopback)', cure)
}
