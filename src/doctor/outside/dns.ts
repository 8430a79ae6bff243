import ipaddr from 'ipaddr.js'
import { CallFailed } from '../call.ts'
import { hostOf } from '../connect.ts'
import { type Check, outsideOf } from '../context.ts'
import { findingOf, ok, problem, warning } from '../finding.ts'

/** The addresses of the public name, as this machine sees them. */
export const dns: Check = {
  name: 'dns',
  group: 'outside',
  async run(context) {
    const outside = outsideOf(context)
    const host = hostOf(outside.base)
    try {
      const addresses = (await outside.addresses()).map(({ address }) => address)
      const hidden = addresses.filter((address) => !isPublic(address))
      if (hidden.length === 0) return findingOf([ok(`${host} is ${addresses.join(', ')}`)])
      const who = hidden.length === 1 && hidden[0] === host ? host : `${host} is ${hidden.join(', ')},`
      const found = `${who} ${who === host ? 'is ' : ''}${hidden.length === 1 ? 'an address' : 'addresses'} of a private network`
      if (hidden.length < addresses.length)
        return findingOf([problem(`${found}, beside public ones`, 'remove it from the DNS record: Svix may choose it')])
      return findingOf([
        warning(found, 'Svix cannot reach it, unless its own DNS says otherwise: run doctor from outside, too'),
      ])
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error
      return findingOf([problem(`${host} has no address (${error.code})`, error.cure)])
    }
  },
}

/** Ranges that the internet does not lead to. Those that stand for others, as NAT64’s 64:ff9b::/96, are not among them. */
const HIDDEN: ReadonlySet<string> = new Set([
  ...['unspecified', 'broadcast', 'multicast', 'linkLocal', 'loopback', 'carrierGradeNat', 'private', 'uniqueLocal'],
  ...['reserved', 'discard', 'benchmarking'],
])

/** Whether Svix could reach an address. */
export function isPublic(address: string): boolean {
  return !HIDDEN.has(ipaddr.process(address).range())
}
