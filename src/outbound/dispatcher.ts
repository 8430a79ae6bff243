import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici'
import type { ProxySettings } from './proxy.ts'

/** A connection is made within this; a proxy answers CONNECT within that. ms. */
export const CONNECT_TIMEOUT = 10_000
const TUNNEL_TIMEOUT = 20_000

/** Timeouts of one exchange, ms: until headers come, and between two pieces of a body. */
export type ExchangeTimeouts = { readonly headersTimeout: number; readonly bodyTimeout: number }

/**
 * A dispatcher that goes through the proxy that the settings name for a URL, and else through `direct`.
 * `destroy` ends all connections, those to proxies too.
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

/** HTTP/1.1 only: a cancelled HTTP/2 stream looks like a whole answer. */
export function createDirectAgent(timeouts: ExchangeTimeouts, connect = buildConnector(CONNECTING)): Agent {
  return new Agent({ ...timeouts, allowH2: false, connect: surfacingResets(connect) })
}

const CONNECTING = { timeout: CONNECT_TIMEOUT, allowH2: false } as const

/** https through a CONNECT tunnel, http in absolute form; the user info of the URL becomes Proxy-Authorization. */
function createProxyAgent(proxy: URL, timeouts: ExchangeTimeouts): ProxyAgent {
  return new ProxyAgent({
    ...timeouts,
    uri: proxy.href,
    allowH2: false,
    requestTls: CONNECTING,
    proxyTls: CONNECTING,
    // undici gives a CONNECT no end of its own but this one.
    clientFactory: (origin, options) =>
      new Pool(origin, { ...options, allowH2: false, headersTimeout: TUNNEL_TIMEOUT }),
    factory: (origin, options) => {
      const { connect } = options as { connect: buildConnector.connector }
      return new Pool(origin, { ...options, connect: surfacingResets(connect) })
    },
  })
}

/** undici takes a reset for the end of a body that has no length. Under a code that it does not know it is an error. */
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
