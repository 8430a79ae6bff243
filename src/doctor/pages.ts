import type { DeliveryFilter, JobFilter, JobRow, Ledger, ListedDelivery } from '../inbox/inbox.ts'

/** Rows of one page. */
const PAGE = 500

/**
 * Jobs that match, up to `max`; `isAll`: there are no others. Pages may be empty although others follow, and `signal` ends
 * the walk.
 */
export async function jobsOf(
  ledger: Pick<Ledger, 'list'>,
  filter: JobFilter,
  max: number,
  signal: AbortSignal,
): Promise<{ readonly jobs: readonly JobRow[]; readonly isAll: boolean }> {
  const jobs: JobRow[] = []
  let cursor: string | null = null
  do {
    const page = await ledger.list(filter, { limit: PAGE, ...(cursor === null ? {} : { cursor }) })
    jobs.push(...page.rows)
    cursor = page.next
  } while (cursor !== null && jobs.length < max && !signal.aborted)
  return { jobs, isAll: cursor === null }
}

/** The latest delivery that matches; null when there is none, as far as was looked before `signal` aborted. */
export async function latestDelivery(
  ledger: Pick<Ledger, 'deliveries'>,
  filter: DeliveryFilter,
  signal: AbortSignal,
): Promise<ListedDelivery | null> {
  let cursor: string | null = null
  do {
    const page = await ledger.deliveries(filter, { limit: 1, ...(cursor === null ? {} : { cursor }) })
    if (page.rows[0]) return page.rows[0]
    cursor = page.next
  } while (cursor !== null && !signal.aborted)
  return null
}
