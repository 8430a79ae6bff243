import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici'
import type { ProxySettings } from './proxy.ts'

/** Time limit for making a connection, and for a proxy's answer to CONNECT, ms. */
export const CONNECT_TIMEOUT_MS = 10_000
const TUNNEL_TIMEOUT = 20_000

/** Timeouts of one exchange, ms: until the headers arrive, and between two chunks of a body. */
export type ExchangeTimeouts = { readonly headersTimeout: number; readonly bodyTimeout: number }

/**
 * A dispatcher that uses the proxy that the settings name for a URL, or else `direct`. `destroy` ends all connections,
 * including those to proxies.
 */
export function createRoutedDispatcher(
  direct: Agent,
  proxies: ProxySettings,
  timeouts: ExchangeTimeouts,
): { readonly dispatcher: Dispatcher; destroy(): Promise<void> } {
  const agents = new Map<string, ProxyAgent>()

  function agentOf(proxy: URL): ProxyAgent {
    const known = agents.get(proxy.href)
    if (known) return known
    const agent = createProxyAgent(proxy, timeouts)
    agents.set(proxy.href, agent)
    return agent
  }

  const route: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (request, handler) => {
    const proxy = proxies.proxyFor(new URL(String(request.origin)))
    return proxy ? agentOf(proxy).dispatch({ ...timeouts, ...request }, handler) : dispatch(request, handler)
  }

  return {
    dispatcher: direct.compose(route),
    async destroy() {
      await Promise.all([direct, ...agents.values()].map((agent) => agent.destroy()))
    },
  }
}

/** HTTP/1.1 only: a cancelled HTTP/2 stream looks like a complete answer. */
export function createDirectAgent(timeouts: ExchangeTimeouts, connect = buildConnector(CONNECTING)): Agent {
  return new Agent({ ...timeouts, allowH2: false, connect: surfacingResets(connect) })
}

const CONNECTING = { timeout: CONNECT_TIMEOUT_MS, allowH2: false } as const

/** https through a CONNECT tunnel, http in absolute form; the URL's user info becomes Proxy-Authorization. */
function createProxyAgent(proxy: URL, timeouts: ExchangeTimeouts): ProxyAgent {
  return new ProxyAgent({
    ...timeouts,
    uri: proxy.href,
    allowH2: false,
    requestTls: CONNECTING,
    proxyTls: CONNECTING,
    // This is the only timeout that undici applies to a CONNECT.
    clientFactory: (origin, options) =>
      new Pool(origin, { ...options, allowH2: false, headersTimeout: TUNNEL_TIMEOUT }),
    factory: (origin, options) => {
      const { connect } = options as { connect: buildConnector.connector }
      return new Pool(origin, { ...options, connect: surfacingResets(connect) })
    },
  })
}

/**
 * undici treats a reset as the end of a body without a length. With a code that it does not know it reports an error.
 */
function surfacingResets(connect: buildConnector.connector): buildConnector.connector {
  return (target, callback) =>
    connect(target, (...result) => {
      result[1]?.prependListener('error', renameReset)
      callback(...result)
    })
}

function renameReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'ERR_CONNECTION_RESET'
}
