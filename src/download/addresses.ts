import ipaddr from 'ipaddr.js'

/** Where Azure answers for its own machines, on an address that looks public. */
const AZURE_PLATFORM = '168.63.129.16'
/** All of IPv6 that is given out as global unicast. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3')
/** RFC 6052: on networks without IPv4 every IPv4 host has an address here, which ends with its IPv4 address. */
const NAT64 = ipaddr.parseCIDR('64:ff9b::/96')

/** Whether an address is one of the public internet: `unicast` of ipaddr.js, which names all reserved ranges. */
export function isGlobal(address: string): boolean {
  return addressKind(address) === 'public'
}

/**
 * `public`, or what an address is instead, in ipaddr.js's words (`private`, `loopback`, `linkLocal` …). An IPv4
 * address within an IPv6 one (mapped, NAT64) is judged as what it is.
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

/** In groups alone: ipaddr.js takes `::8.8.8.8` for the mapped `::ffff:8.8.8.8`. Empty for what is no address. */
function plainIpv6(address: string): string {
  const url = `http://[${address}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : ''
}
