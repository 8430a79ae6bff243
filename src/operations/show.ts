import type { JobDetail, Ledger } from '../inbox/inbox.ts'
import type { JobRecord } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import { resolveId } from './ids.ts'
import type { MetadataOf } from './list.ts'
import type { Refusal } from './refusal.ts'

export type ShownJob = {
  readonly is: 'job'
  readonly job: JobDetail & { readonly metadata: unknown }
  /** The record of its saved result; null when none is saved. */
  readonly record: JobRecord | null
}

export type ShowDeps = {
  readonly ledger: Pick<Ledger, 'idsFrom' | 'get' | 'bodies'>
  readonly results: Pick<Results, 'record'>
  readonly metadataOf: MetadataOf
}

/** All that is known of the job with this id, or with the one id that begins so. */
export async function showJob(deps: ShowDeps, id: string, signal: AbortSignal): Promise<ShownJob | Refusal> {
  const resolved = await resolveId(deps.ledger, 'job', id)
  if (resolved.is === 'refused') return resolved
  const job = await deps.ledger.get(resolved.id)
  // Pruned since its id was looked up.
  if (job === null) return { is: 'refused', code: 'unknown', message: `there is no job ${id}` }
  const [body = null] = await deps.ledger.bodies([resolved.id])
  const metadata = body === null ? null : deps.metadataOf(body)
  const record = await deps.results.record(resolved.id, signal)
  return { is: 'job', job: { ...job, metadata }, record }
}
