import type { Ledger } from '../../inbox/inbox.ts'
import type { CauseModel } from '../../operator/causes.ts'
import { purgeAt } from '../../purge.ts'

/** Why jobs are dead, as pages show it. A cause is its code, and what the messages have in common. */
export async function causesOf(ledger: Ledger): Promise<readonly CauseModel[]> {
  const causes = await ledger.causes()
  return causes.map(({ soonestCreatedAt, ...cause }) => ({
    ...cause,
    message: cause.cause.startsWith(`${cause.code}: `) ? cause.cause.slice(cause.code.length + 2) : cause.cause,
    purgeAt: soonestCreatedAt === null ? null : purgeAt(soonestCreatedAt),
  }))
}
