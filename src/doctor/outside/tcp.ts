import { isIPv6 } from 'node:net'
import type { CallFailed } from '../call.ts'
import { portOf } from '../connect.ts'
import { type Check, type DoctorContext, outsideOf } from '../context.ts'
import { findingOf, type Item, ok, problem, Skip, skipped, warning } from '../finding.ts'

/** Whether each address takes connections: Svix may choose any of them. */
export const tcp: Check = {
  name: 'tcp',
  group: 'outside',
  limit: 30_000,
  async run(context) {
    const outside = outsideOf(context)
    const port = portOf(outside.base)
    const reached = await outside.reached().catch(() => {
      throw new Skip('there is no address: see dns')
    })
    const failed = reached.filter(({ failure }) => failure !== null)
    if (failed.length === 0) return findingOf([ok(`port ${port} takes connections`)])
    return findingOf(
      failed.map(({ address, failure }) => itemOf(context, { address, failure: failure! }, reached, port)),
    )
  },
}

type Failed = { readonly address: string; readonly failure: CallFailed }

/** Of a machine without IPv6. */
const NO_ROUTE: ReadonlySet<string> = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

function itemOf(
  context: DoctorContext,
  { address, failure }: Failed,
  reached: readonly { readonly failure: CallFailed | null }[],
  port: number,
): Item {
  const others = reached.some((one) => one.failure === null) ? ', while other addresses do' : ''
  if (others !== '' && isIPv6(address) && NO_ROUTE.has(failure.code))
    return skipped(`${address} cannot be looked at: this machine has no IPv6`)
  const found = `${address} takes no connections at port ${port}${others} (${failure.code})`
  // Who is behind a proxy cannot know.
  const tell = context.settings.get('proxy').https === null ? problem : warning
  return tell(found, cureOf(context, failure))
}

function cureOf({ settings }: DoctorContext, { code, cure }: CallFailed): string {
  if (settings.get('proxy').https !== null)
    return `${cure}. This machine has HTTPS_PROXY: if it reaches the internet through that alone, run doctor from outside`
  if (code !== 'ETIMEDOUT') return cure
  return `${cure}. Some networks do not let a machine call its own public address: run doctor from outside, too`
}
