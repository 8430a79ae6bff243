import ipaddr from 'ipaddr.js'

type Entry = { readonly port: number | null; matches(host: string): boolean }

/** Whether a host and port are reached without a proxy. */
export type NoProxy = (host: string, port: number) => boolean

/**
 * Parses NO_PROXY as curl, Go and undici do: entries separated by commas or spaces. A name, with or without a leading
 * dot, matches itself and its subdomains; `*.name` only its subdomains; `*` everything. Addresses and networks
 * (`10.0.0.0/8`) are accepted, and each entry may have a `:port`.
 */
export function parseNoProxy(text: string): NoProxy {
  const entries = text
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map(parseEntry)
  return (host, port) => {
    const name = plainHost(host)
    return entries.some((entry) => (entry.port === null || entry.port === port) && entry.matches(name))
  }
}

/** A host in comparable form: lower case, addresses normalised, without brackets and trailing dot. */
export function plainHost(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/(.)\.$/, '$1')
  return ipaddr.isValid(name) ? ipaddr.parse(name).toString() : name
}

/** Splits an entry of a host list: `host`, `host:port`, `::1`, `[::1]`, `[::1]:port`. */
export function splitHostPort(entry: string): { readonly host: string; readonly port: number | null } {
  const [, host, port] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(entry) ?? []
  return host === undefined ? { host: plainHost(entry), port: null } : { host: plainHost(host), port: Number(port) }
}

function parseEntry(text: string): Entry {
  if (ipaddr.isValidCIDR(text)) {
    const [network, bits] = ipaddr.parseCIDR(text)
    const matches = (host: string) => {
      const address = ipaddr.isValid(host) ? ipaddr.process(host) : null
      return address !== null && address.kind() === network.kind() && address.match(network, bits)
    }
    return { port: null, matches }
  }
  const { host, port } = splitHostPort(text)
  if (host === '*') return { port, matches: () => true }
  const name = host.replace(/^\*?\./, '')
  const below = (other: string) => other.endsWith(`.${name}`)
  return { port, matches: host.startsWith('*.') ? below : (other) => other === name || below(other) }
}
