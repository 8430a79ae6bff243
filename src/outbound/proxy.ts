import { parseNoProxy } from './no-proxy.ts'

/** Which proxy leads where. */
export type ProxySettings = {
  /** The proxy for a URL; null: the host is connected to directly. */
  proxyFor(url: URL): URL | null
}

/**
 * HTTPS_PROXY for https, HTTP_PROXY for http (null or empty: none), but not for what NO_PROXY names. Loopback is no
 * exception, as with curl. Throws on what is no http(s) URL, and quotes nothing of it: it may hold a password.
 */
export function createProxySettings(options: {
  readonly httpsProxy: string | null
  readonly httpProxy: string | null
  readonly noProxy: string
}): ProxySettings {
  const https = parseProxy('HTTPS_PROXY', options.httpsProxy)
  const http = parseProxy('HTTP_PROXY', options.httpProxy)
  const isExempt = parseNoProxy(options.noProxy)
  return {
    proxyFor(url) {
      const isHttps = url.protocol === 'https:'
      const proxy = isHttps ? https : http
      const port = url.port === '' ? (isHttps ? 443 : 80) : Number(url.port)
      return proxy && !isExempt(url.hostname, port) ? proxy : null
    },
  }
}

/** Nothing goes through a proxy. */
export const NO_PROXIES: ProxySettings = { proxyFor: () => null }

function parseProxy(name: string, text: string | null): URL | null {
  if (!text) return null
  // Many leave the scheme out.
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : null
  if (!url || !['http:', 'https:'].includes(url.protocol) || !isDecodable(url.username) || !isDecodable(url.password))
    throw new Error(`${name} must be the URL of a proxy that begins with http:// or https://`)
  return url
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== null
  } catch {
    return false
  }
}
