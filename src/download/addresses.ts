import ipaddr from 'ipaddr.js'

/** Where Azure serves its own machines, on an address that looks public. */
const AZURE_PLATFORM = '168.63.129.16'
/** The part of IPv6 that is assigned as global unicast. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3')
/**
 * RFC 6052: on networks without IPv4 every IPv4 host has an address in this range, which ends with its IPv4 address.
 */
const NAT64 = ipaddr.parseCIDR('64:ff9b::/96')

/** Whether an address belongs to the public internet: `unicast` in ipaddr.js, which names all reserved ranges. */
export function isGlobal(address: string): boolean {
  return addressKind(address) === 'public'
}

/**
 * `public`, or the kind of a non-public address in ipaddr.js's words (`private`, `loopback`, `linkLocal` …). An IPv4
 * address within an IPv6 one (mapped, NAT64) is classified as the IPv4 address.
 */
export function addressKind(address: string): string {
  const text = address.includes(':') ? plainIpv6(address) : address
  if (!ipaddr.isValid(text)) return 'invalid'
  const parsed = innermost(ipaddr.process(text))
  if (parsed.toString() === AZURE_PLATFORM) return 'reserved'
  if (parsed.range() !== 'unicast') return parsed.range()
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6) ? 'public' : 'reserved'
}

function innermost(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address.kind() !== 'ipv6' || !address.match(NAT64)) return address
  return ipaddr.fromByteArray(address.toByteArray().slice(-4))
}

/**
 * The address in hexadecimal groups only: ipaddr.js reads `::8.8.8.8` as the mapped `::ffff:8.8.8.8`. Empty if it is
 * not an address.
 */
function plainIpv6(address: string): string {
  const url = `http://[${address}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : ''
}
