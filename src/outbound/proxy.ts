import { parseNoProxy } from './no-proxy.ts'

/** The proxy of each destination. */
export type ProxySettings = {
  /** The proxy for a URL; null: the host is connected to directly. */
  proxyFor(url: URL): URL | null
}

/**
 * HTTPS_PROXY for https, HTTP_PROXY for http (null or empty: none), except for hosts in NO_PROXY. Loopback is not
 * exempt, as with curl. Throws if a value is not an http(s) URL, without quoting it: it may contain a password.
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

/** No destination has a proxy. */
export const NO_PROXIES: ProxySettings = { proxyFor: () => null }

function parseProxy(name: string, text: string | null): URL | null {
  if (!text) return null
  // Many people omit the scheme.
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
