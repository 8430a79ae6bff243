import type { lookup as dnsLookup, LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { addressKind, isGlobal } from './addresses.ts'
import { ALLOW_HOST, type Cure, TargetRefused } from './error.ts'

/** Maximum number of addresses that an error names. */
const MAX_NAMED = 4

/**
 * Resolves a name for a connection and returns only its public addresses. A name without one is refused. The check is
 * made here and not earlier, because a second lookup could return another address.
 */
export function createGuardedLookup(lookup: typeof dnsLookup, cure: Cure = ALLOW_HOST): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0)
      const usable = addresses.filter(({ address }) => isGlobal(address))
      const first = usable[0]
      if (!first) return callback(refusal(hostname, addresses, cure), '', 0)
      if (options.all) return callback(null, usable)
      return callback(null, first.address, first.family)
    })
  }
}

function refusal(hostname: string, addresses: readonly LookupAddress[], cure: Cure): Error {
  if (addresses.length === 0) return new Error(`${hostname} has no address`)
  const named = addresses.slice(0, MAX_NAMED).map(({ address }) => `${address} (${addressKind(address)})`)
  return new TargetRefused(hostname, `it resolves to ${named.join(', ')}, none of which is public`, cure(hostname))
}
