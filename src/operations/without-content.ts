import type { JobFilter, Ledger } from '../inbox/inbox.ts'

/** Ids that one search finds at most. */
const MAX_IDS = 50

/**
 * The filter for somebody who may not see content, and may not find out about it by searching either: `q` finds ids alone.
 * Null when the filter asks for metadata itself.
 */
export async function withoutContent(
  ledger: Pick<Ledger, 'idsFrom' | 'delivery'>,
  filter: JobFilter,
): Promise<JobFilter | null> {
  if (filter.metadata !== undefined) return null
  const { q, ...rest } = filter
  return q === undefined ? rest : { ...rest, jobIds: await idsOf(ledger, q) }
}

/** The jobs whose id, or that of one of their deliveries, begins so. */
async function idsOf(ledger: Pick<Ledger, 'idsFrom' | 'delivery'>, q: string): Promise<readonly string[]> {
  const jobs = await ledger.idsFrom('job', q, MAX_IDS)
  const deliveries = await ledger.idsFrom('delivery', q, MAX_IDS)
  const announced = await Promise.all(deliveries.map(async (id) => (await ledger.delivery(id))?.jobId ?? []))
  return [...new Set([...jobs, ...announced.flat()])]
}
