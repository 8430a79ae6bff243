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
 * The ignored and rejected deliveries that have this metadata, `max` of them at most: whoever erases all of a person's jobs
 * means these too. A filter that asks for a job's state, status or reason means jobs alone.
 */
export async function deliveriesLike(
  deps: Pick<EraseDeliveriesDeps, 'ledger'>,
  filter: JobFilter,
  { max, onSearched }: { readonly max: number; readonly onSearched: OnSearched },
): Promise<readonly string[]> {
  const { metadata } = filter
  const parts = Object.entries(filter).filter(([, value]) => value !== undefined)
  if (metadata === undefined || parts.some(([part]) => !OF_DELIVERIES.has(part))) return []
  return idsOf(deps, filter, metadata, max, onSearched)
}

/** Erases the bodies of these deliveries. Returns how many. */
export async function eraseDeliveries(
  deps: EraseDeliveriesDeps,
  filter: JobFilter | null,
  ids: readonly string[],
): Promise<number> {
  await noteAction(deps, { what: 'erase_deliveries', filter, ids })
  let erased = 0
  for (const id of ids) if (await deps.ledger.eraseDelivery(id)) erased++
  return erased
}

async function idsOf(
  { ledger }: Pick<EraseDeliveriesDeps, 'ledger'>,
  { endpoint, since, until }: JobFilter,
  metadata: NonNullable<JobFilter['metadata']>,
  max: number,
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
      if (body === null || !hasMembers(body, metadata)) continue
      if (ids.length === max) return ids
      ids.push(row.svixId)
    }
  }
  return ids
}
