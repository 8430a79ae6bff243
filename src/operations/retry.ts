import type { Refusal } from './refusal.ts'
import { type BulkResult, type RequeueDeps, requeueSelected } from './requeue.ts'
import { type Bulk, type SelectDeps, selectJobs, whyNotRequeued } from './select.ts'

export type RetryDeps = SelectDeps & RequeueDeps

/**
 * Queues jobs again: what is saved of them is handed over again, the others are fetched; with `refetch` all are. A filter
 * that names no state is for dead jobs.
 */
export async function retryJobs(
  deps: RetryDeps,
  bulk: Bulk & { readonly refetch?: boolean },
): Promise<BulkResult | Refusal> {
  const which = 'filter' in bulk ? { ...bulk, filter: { state: 'dead' as const, ...bulk.filter } } : bulk
  const selected = await selectJobs(deps, which, whyNotRequeued)
  return requeueSelected(deps, selected, bulk, { what: 'retry', refetch: bulk.refetch ?? false })
}
