import type { ActionName } from '../actor.ts'
import type { JobRow, Ledger } from '../inbox/inbox.ts'
import { type ActingDeps, noteAction } from './acting.ts'
import type { Refusal, Skipped } from './refusal.ts'
import type { Bulk, Selected } from './select.ts'

/** What became of a bulk operation. `jobs`: how many were done, or would be in a dry run. */
export type BulkResult = {
  readonly is: 'done'
  readonly jobs: number
  readonly dryRun: boolean
  /** Those it was for. */
  readonly ids: readonly string[]
  /** The first ones, by name. */
  readonly named: readonly JobRow[]
  readonly skipped: readonly Skipped[]
  /** What bounds a later call to the same jobs, ms. */
  readonly until: number
  readonly isMore: boolean
}

/** Jobs that one request queues. */
const JOBS_A_REQUEST = 500

export type RequeueDeps = ActingDeps & { readonly ledger: Pick<Ledger, 'requeue' | 'note'> }

/**
 * Queues the selected jobs again: the one place through which operators do so. The inbox spreads them over up to ten
 * minutes (backoff.ts), each by its place among all of them, so that new jobs find their place between them. Whoever is
 * no longer as it was selected is left alone.
 */
export async function requeueSelected(
  deps: RequeueDeps,
  selected: Selected | Refusal,
  bulk: Bulk,
  { what, refetch = false }: { readonly what: ActionName; readonly refetch?: boolean },
): Promise<BulkResult | Refusal> {
  if (selected.is === 'refused') return selected
  const { dryRun = false, onProgress = () => {} } = bulk
  const { ids, named, skipped, until, bound, isMore } = selected
  const total = ids.length
  const filter = 'filter' in bulk ? bound : null
  const action = dryRun ? undefined : await noteAction(deps, { what, filter: withFetch(filter, refetch), ids })
  const noted = action === undefined ? {} : { action }
  let jobs = dryRun ? total : 0
  for (let first = 0; !dryRun && first < total; first += JOBS_A_REQUEST) {
    const jobIds = ids.slice(first, first + JOBS_A_REQUEST)
    jobs += await deps.ledger.requeue({ ...bound, jobIds }, { refetch, part: { first, total }, ...noted })
    onProgress(Math.min(first + JOBS_A_REQUEST, total), total)
  }
  return { is: 'done', jobs, dryRun, ids, named, skipped, until, isMore }
}

/** That results are fetched anew belongs to what was asked for. */
function withFetch(filter: object | null, refetch: boolean): object | null {
  return refetch ? { ...filter, refetch } : filter
}
