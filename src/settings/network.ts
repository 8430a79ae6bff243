import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { separated } from './parsers.ts'

/**
 * The proxies that are trusted to report the client: all, none, a number of hops, or these addresses. In Express's
 * form.
 */
export type TrustProxy = boolean | number | readonly string[]

/** More hops than any installation has: a larger number would be a port or a year. */
const MAX_HOPS = 32
const NAMED_RANGES = ['loopback', 'linklocal', 'uniquelocal']

/** An address, or a syntactically valid name; whether this machine has it is known only when the server listens. */
export function host(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare)) return bare
  if (!isHostName(text))
    throw new Error('must be an address of this machine or a name of it, without scheme and port: 0.0.0.0 or 127.0.0.1')
  return text
}

export function trustProxy(text: string): TrustProxy {
  if (text === 'true') return true
  if (text === 'false' || text === 'off') return false
  if (/^\d+$/.test(text) && Number(text) <= MAX_HOPS) return Number(text)
  const ranges = separated(text)
  if (ranges.length === 0 || !ranges.every(isRange))
    throw new Error(
      `must be true, false, a number of hops up to ${MAX_HOPS}, or addresses and subnets (10.0.0.0/8, ${NAMED_RANGES.join(', ')})`,
    )
  return ranges
}

function isRange(text: string): boolean {
  if (NAMED_RANGES.includes(text)) return true
  const [address = '', mask, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  if (mask === undefined) return true
  if (/^\d{1,3}$/.test(mask)) return Number(mask) >= 1 && Number(mask) <= (family === 4 ? 32 : 128)
  return family === 4 && isIP(mask) === 4 && ipaddr.IPv4.parse(mask).prefixLengthFromSubnetMask() !== null
}

/**
 * `http://user:password@proxy:3128`; without a scheme it is http, as in curl. Returns the URL. Its user and password
 * can be decoded.
 */
export function proxyUrl(text: string): string {
  if (/^socks[a-z0-9]*:/i.test(text))
    throw new Error(
      'is a SOCKS proxy, which is not supported: name an HTTP proxy (http:// or https://), or remove the setting',
    )
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(withScheme) && !/\s/.test(text) ? new URL(withScheme) : null
  if (!url || !['http:', 'https:'].includes(url.protocol) || !isProxyHost(url.hostname))
    throw new Error(`must be the URL of a proxy that begins with http:// or https://${escapes(text)}`)
  if (url.search || url.hash || url.pathname !== '/')
    throw new Error(`must be without path, query and fragment${escapes(text)}`)
  if (!isDecodable(url.username) || !isDecodable(url.password))
    throw new Error('has a % in its user or password that is not part of a valid UTF-8 escape: write %25 for a %')
  return url.href
}

/** A URL ends its host at these characters; in a password they look like its end. */
function escapes(text: string): string {
  if (!text.includes('@')) return ''
  return ' (in a user or password write %25 for %, %2F for /, %3F for ?, %23 for #, %40 for @)'
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== null
  } catch {
    return false
  }
}

function isProxyHost(hostname: string): boolean {
  return isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || isHostName(hostname)
}

/** The user, the password, both together, and both as in a header. No part of the host. */
export function proxyCredentials(text: string): readonly string[] {
  const userInfo = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^\s/]*)@/i.exec(text)?.[1]
  if (!userInfo) return []
  const clear = decoded(userInfo)
  const password = /:(.+)$/s.exec(clear)?.[1] ?? clear
  const written = /:(.+)$/s.exec(userInfo)?.[1] ?? userInfo
  return [userInfo, clear, password, written, Buffer.from(clear).toString('base64')]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Hosts without a proxy. Programs read these in slightly different ways, so they are passed on unchanged. */
export function noProxy(text: string): string {
  const parts = separated(text)
  if (parts.some((part) => /^[a-z]+:\/\/|["'`#@]/i.test(part)))
    throw new Error('must be host names, domains and addresses, separated by commas: localhost,.internal,10.0.0.5')
  return parts.join(',')
}

/**
 * Hosts on private addresses, each with its allowed port, or without a port: `minio:9000`, `[fd00::1]:9000`,
 * `10.0.0.5`, `fd00::1`. Names in lower case, addresses normalised as in URLs.
 */
export function privateHosts(text: string): ReadonlySet<string> {
  return new Set(separated(text).map(privateHost))
}

function privateHost(entry: string): string {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+))?$/.exec(entry) ?? []
  const name = (isIP(entry) ? entry : (bracketed ?? plain ?? '')).toLowerCase()
  const port = isIP(entry) || portText === undefined ? null : Number(portText)
  const known = bracketed === undefined ? isIP(name) !== 0 || isHostName(name) : isIP(name) === 6
  if (!known || (port !== null && (port < 1 || port > 65_535)))
    throw new Error(
      'must be host names or addresses, each optionally with a port, without scheme and user name: minio:9000',
    )
  const address = isIP(name) ? ipaddr.parse(name).toString() : name
  if (port === null) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/**
 * The syntax of a name, including names that only private networks resolve. A text that looks like an invalid address
 * is not a name.
 */
function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    !/^[\d.]+$/.test(text) &&
    /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i.test(text)
  )
}
