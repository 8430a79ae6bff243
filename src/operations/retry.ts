import type { Ledger } from '../inbox/inbox.ts'
import { type ActingDeps, noteAction } from './acting.ts'
import type { Refusal } from './refusal.ts'
import { type BulkResult, type RequeueDeps, requeueSelected } from './requeue.ts'
import { type Bulk, hindrance, type SelectDeps, selectJobs, whyNotRequeued } from './select.ts'

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

/** Queues the job with exactly this id again. Resolves to what it is now, or to what hinders that. */
export async function retryJob(
  deps: ActingDeps & { readonly ledger: Pick<Ledger, 'get' | 'requeue' | 'note'> },
  jobId: string,
  { refetch }: { readonly refetch: boolean },
): Promise<'queued' | 'unknown' | NonNullable<ReturnType<typeof hindrance>>> {
  const { ledger } = deps
  const job = await ledger.get(jobId)
  if (job === null) return 'unknown'
  const found = hindrance(job)
  if (found !== null) return found
  const filter = refetch ? { refetch } : null
  const action = await noteAction(deps, { what: 'retry', filter, ids: [jobId] })
  // Taken by the worker since it was looked at.
  return (await ledger.requeue({ jobId }, { refetch, ...(action === undefined ? {} : { action }) })) > 0
    ? 'queued'
    : 'running'
}
