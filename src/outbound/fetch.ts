import { fetch as undiciFetch } from 'undici'
import { createDirectAgent, createRoutedDispatcher } from './dispatcher.ts'
import type { ProxySettings } from './proxy.ts'

/** The platform's `fetch`, by another way out. */
export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** Callers have deadlines of their own that are shorter; these free what nobody waits for any more. ms. */
const TIMEOUTS = { headersTimeout: 300_000, bodyTimeout: 300_000 } as const

/** A `fetch` that honours the proxy settings and speaks HTTP/1.1 only. `close` ends its connections. */
export function createOutboundFetch(proxies: ProxySettings): { readonly fetch: Fetch; close(): Promise<void> } {
  const { dispatcher, destroy } = createRoutedDispatcher(createDirectAgent(TIMEOUTS), proxies, TIMEOUTS)
  // The types of Node's own fetch and of the package's differ in name alone.
  const outbound = (url: string | URL, init?: RequestInit) =>
    undiciFetch(url, { ...(init as Parameters<typeof undiciFetch>[1]), dispatcher })
  return { fetch: outbound as unknown as Fetch, close: destroy }
}
