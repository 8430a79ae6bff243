import type { CallFailed } from '../call.ts'
import { portOf } from '../connect.ts'
import { type Check, type DoctorContext, outsideOf } from '../context.ts'
import { findingOf, ok, problem, Skip } from '../finding.ts'

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
      failed.map(({ address, failure }) => {
        const others = failed.length < reached.length ? ', while other addresses do' : ''
        return problem(
          `${address} takes no connections at port ${port}${others} (${failure!.code})`,
          cureOf(context, failure!),
        )
      }),
    )
  },
}

function cureOf({ settings }: DoctorContext, { code, cure }: CallFailed): string {
  if (settings.get('proxy').https !== null)
    return `${cure}. This machine has HTTPS_PROXY: if it reaches the internet through that alone, run doctor from outside`
  if (code !== 'ETIMEDOUT') return cure
  return `${cure}. Some networks do not let a machine call its own public address: run doctor from outside, too`
}
