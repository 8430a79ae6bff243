import type { DeliveryFilter, JobFilter, Ledger } from '../inbox/inbox.ts'
import { type ActingDeps, noteAction } from './acting.ts'
import { hasMembers } from './person.ts'
import { allRows, type OnSearched } from './walk.ts'

export type EraseDeliveriesDeps = ActingDeps & {
  readonly ledger: Pick<Ledger, 'note' | 'deliveries' | 'delivery' | 'eraseDelivery'>
}

/** Parts of a filter for jobs that say something of a delivery that concerns none. */
const OF_DELIVERIES: ReadonlySet<string> = new Set(['metadata', 'endpoint', 'since', 'until'])

/**
 * Erases the bodies of ignored and rejected deliveries that have this metadata: whoever erases all of a person's jobs means
 * these too. A filter that asks for a job's state, status or reason means jobs alone. Returns how many, or would in a dry run.
 */
export async function eraseDeliveriesLike(
  deps: EraseDeliveriesDeps,
  filter: JobFilter,
  { dryRun, onSearched }: { readonly dryRun: boolean; readonly onSearched: OnSearched },
): Promise<number> {
  const { metadata } = filter
  const parts = Object.entries(filter).filter(([, value]) => value !== undefined)
  if (metadata === undefined || parts.some(([part]) => !OF_DELIVERIES.has(part))) return 0
  const ids = await idsOf(deps, filter, metadata, onSearched)
  if (dryRun) return ids.length
  await noteAction(deps, { what: 'erase_deliveries', filter, ids })
  let erased = 0
  for (const id of ids) if (await deps.ledger.eraseDelivery(id)) erased++
  return erased
}

async function idsOf(
  { ledger }: EraseDeliveriesDeps,
  { endpoint, since, until }: JobFilter,
  metadata: NonNullable<JobFilter['metadata']>,
  onSearched: OnSearched,
): Promise<readonly string[]> {
  const ids: string[] = []
  for (const disposition of ['ignored', 'rejected'] as const) {
    const filter: DeliveryFilter = {
      disposition,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(since === undefined ? {} : { since }),
    }
    for await (const row of allRows((page) => ledger.deliveries(filter, page), onSearched)) {
      if (until !== undefined && row.receivedAt > until) continue
      const body = (await ledger.delivery(row.svixId))?.body ?? null
      if (body !== null && hasMembers(body, metadata)) ids.push(row.svixId)
    }
  }
  return ids
}
