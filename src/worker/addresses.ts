import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent, buildConnector, type Dispatcher, interceptors } from 'undici'

/** A download was to reach an address that is not public. */
export class AddressRefused extends Error {
  constructor(host: string, why: string) {
    super(`${host} is refused: ${why}`)
    this.name = 'AddressRefused'
  }
}

/** At most so many redirects, each checked like the first address. */
const REDIRECTS = 5
/** A connection is made within this, and headers come within that, ms. */
const CONNECT_TIMEOUT = 10_000
const HEADERS_TIMEOUT = 30_000

/**
 * What downloads go through. Links come from an answer of Reducto's, which a document's author may have influenced: so
 * every address is checked, when it is connected to (a second look-up could give another one), and only global ones are
 * allowed, apart from the hosts that the settings name.
 */
export function createDownloadAgent(options: {
  readonly allowPrivateHosts: ReadonlySet<string>
  readonly idleTimeout: number
  /** How names are looked up: the system's resolver. */
  readonly lookup?: typeof dnsLookup
}): Dispatcher {
  const lookup = options.lookup ?? dnsLookup
  const allowed = (host: string) => options.allowPrivateHosts.has(normal(bare(host).toLowerCase()))

  const guardedLookup: LookupFunction = (hostname, lookupOptions, callback) => {
    lookup(hostname, { ...lookupOptions, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0)
      const refused = allowed(hostname) ? undefined : addresses.find(({ address }) => !isGlobal(address))
      if (refused)
        return callback(new AddressRefused(hostname, `it resolves to ${refused.address}, which is not public`), '', 0)
      if (lookupOptions.all) return callback(null, addresses)
      const first = addresses[0]
      return first ? callback(null, first.address, first.family) : callback(new Error('no address'), '', 0)
    })
  }

  const connect = buildConnector({ timeout: CONNECT_TIMEOUT, lookup: guardedLookup })
  const agent = new Agent({
    headersTimeout: HEADERS_TIMEOUT,
    bodyTimeout: options.idleTimeout,
    connect(target, callback) {
      // An address written as such is never looked up.
      const host = bare(target.hostname)
      if (ipaddr.isValid(host) && !isGlobal(host) && !allowed(host))
        return callback(new AddressRefused(target.hostname, 'it is not a public address'), null)
      return connect(target, callback)
    },
  })

  /** Inside of the redirects, so that each hop passes it. */
  const schemes: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (request, handler) => {
    const origin = new URL(String(request.origin))
    if (origin.protocol !== 'https:' && !(origin.protocol === 'http:' && allowed(origin.hostname)))
      throw new AddressRefused(origin.host, 'only https is allowed (http for hosts in DOWNLOAD_ALLOW_PRIVATE_HOSTS)')
    return dispatch(request, handler)
  }

  return agent.compose(schemes, interceptors.redirect({ maxRedirections: REDIRECTS }))
}

/** Where Azure answers for its own machines, on an address that looks public. */
const AZURE_PLATFORM = '168.63.129.16'
/** All of IPv6 that is given out as global unicast. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3')

/** Whether an address is one of the public internet: `unicast` of ipaddr.js, which names all reserved ranges. */
export function isGlobal(address: string): boolean {
  // An IPv4 address within an IPv6 one (mapped) is judged as what it is.
  const parsed = ipaddr.process(address)
  if (parsed.range() !== 'unicast' || parsed.toString() === AZURE_PLATFORM) return false
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6)
}

function normal(host: string): string {
  return ipaddr.isValid(host) ? ipaddr.parse(host).toString() : host
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}
