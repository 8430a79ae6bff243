import type { Ledger } from '../../inbox/inbox.ts'
import type { ActionModel } from '../../operator/actions.ts'
import type { CauseModel } from '../../operator/causes.ts'

/** What the inbox keeps for operators, as pages show it. */

const REDUCTO_KEEPS = 12 * 3_600_000
export const REDUCTO_KEEPS_MS = REDUCTO_KEEPS
export function purgeAt(announcedAt: number): number {
  return announcedAt + REDUCTO_KEEPS
}

type Journal = {
  causes(): Promise<readonly (Omit<CauseModel, 'message' | 'purgeAt'> & { readonly soonestCreatedAt: number | null })[]>
  atRisk(): Promise<{
    readonly jobs: number
    readonly soonest: readonly { jobId: string; createdAt: number; receivedAt: number }[]
  }>
  actions(page: {
    limit: number
    cursor?: string
  }): Promise<{ readonly rows: readonly ActionModel[]; readonly next: string | null }>
  minutes(
    from: number,
    to: number,
  ): Promise<readonly { at: number; ms: number; counts: Readonly<Record<string, number>> }[]>
  refusals(since: number): Promise<readonly { reason: string; count: number; lastAt: number }[]>
}

export function journalOf(ledger: Ledger): Journal {
  const there = ledger as unknown as Partial<Journal>
  return {
    causes: async () => (await there.causes?.()) ?? [],
    atRisk: async () => (await there.atRisk?.()) ?? { jobs: 0, soonest: [] },
    actions: async (page) => (await there.actions?.(page)) ?? { rows: [], next: null },
    minutes: async (from, to) => (await there.minutes?.(from, to)) ?? [],
    refusals: async (since) => (await there.refusals?.(since)) ?? [],
  }
}

/** Why jobs are dead. The cause is its code and what the messages have in common. */
export async function causesOf(ledger: Ledger): Promise<readonly CauseModel[]> {
  const causes = await journalOf(ledger).causes()
  return causes.map(({ soonestCreatedAt, ...cause }) => ({
    ...cause,
    message: cause.cause.startsWith(`${cause.code}: `) ? cause.cause.slice(cause.code.length + 2) : cause.cause,
    purgeAt: soonestCreatedAt === null ? null : purgeAt(soonestCreatedAt),
  }))
}
