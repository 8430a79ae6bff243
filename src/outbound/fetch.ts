import { fetch as undiciFetch } from 'undici'
import { createDirectAgent, createRoutedDispatcher } from './dispatcher.ts'
import type { ProxySettings } from './proxy.ts'

/** The platform's `fetch` with different routing. */
export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** Callers have shorter deadlines of their own; these free exchanges that nobody waits for any more, ms. */
const TIMEOUTS = { headersTimeout: 300_000, bodyTimeout: 300_000 } as const

/** A `fetch` that uses the proxy settings and only HTTP/1.1. `close` ends its connections. */
export function createOutboundFetch(proxies: ProxySettings): { readonly fetch: Fetch; close(): Promise<void> } {
  const { dispatcher, destroy } = createRoutedDispatcher(createDirectAgent(TIMEOUTS), proxies, TIMEOUTS)
  // The types of Node's own fetch and the package's differ only in name.
  const outbound = (url: string | URL, init?: RequestInit) =>
    undiciFetch(url, { ...(init as Parameters<typeof undiciFetch>[1]), dispatcher })
  return { fetch: outbound as unknown as Fetch, close: destroy }
}
