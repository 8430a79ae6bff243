import type { JobFilter, JobRow } from '../inbox/inbox.ts'
import type { JobState } from '../job.ts'
import type { Results } from '../results/results.ts'
import { type Refusal, refuse } from './refusal.ts'
import { type BulkResult, type RequeueDeps, requeueSelected } from './requeue.ts'
import { type Bulk, type SelectDeps, type Selected, selectJobs, whyNotRequeued } from './select.ts'

export type ReplayDeps = SelectDeps &
  RequeueDeps & {
    readonly results: Pick<Results, 'record'>
    /** Whether results are handed over at all. */
    readonly hasHandler: boolean
  }

/** `unsaved`: jobs whose result is not saved any more. */
export type ReplayResult = BulkResult & { readonly unsaved: number }

/** Records that are read at once: a bucket answers after a tenth of a second. */
const MAX_PARALLEL = 8

/** Hands saved results over again; nothing is fetched. A filter that names no state is for done jobs, or for the dead ones of its cause. */
export async function replayJobs(deps: ReplayDeps, bulk: Bulk, signal: AbortSignal): Promise<ReplayResult | Refusal> {
  if (!deps.hasHandler)
    return refuse(
      'no_handler',
      'there is nothing to call: neither HANDLER nor FORWARD_URL is set. Set one of them, restart the service, then replay',
    )
  const which = 'filter' in bulk ? { ...bulk, filter: { state: usualState(bulk.filter), ...bulk.filter } } : bulk
  const { expect, ...unbound } = which
  const selected = await selectJobs(deps, unbound, whyNotReplayed)
  if (selected.is === 'refused') return selected
  const saved = await withResult(deps, selected, signal)
  if (expect !== undefined && saved.ids.length > expect)
    return refuse(
      'changed',
      `${saved.ids.length} jobs match, not ${expect}: look at them again with a dry run; nothing was done`,
      { count: saved.ids.length },
    )
  const result = await requeueSelected(deps, saved, bulk, { what: 'replay' })
  return result.is === 'refused' ? result : { ...result, unsaved: selected.ids.length - saved.ids.length }
}

function usualState({ cause }: JobFilter): JobState {
  return cause === undefined ? 'done' : 'dead'
}

/** Queueing a job that is still to be fetched would fetch it. */
function whyNotReplayed(job: JobRow): string | null {
  if (job.state === 'queued' && job.stage === 'fetch') return 'is still to be fetched, and is handed over then'
  return whyNotRequeued(job)
}

/** Those whose result is saved, in their order. */
async function withResult({ results }: ReplayDeps, selected: Selected, signal: AbortSignal): Promise<Selected> {
  const { ids } = selected
  const isSaved: boolean[] = []
  let next = 0
  async function read(): Promise<void> {
    for (let at = next++; at < ids.length; at = next++) {
      const record = await results.record(ids[at]!, signal)
      isSaved[at] = record !== null && record.gave_up === undefined
    }
  }
  await Promise.all(Array.from({ length: MAX_PARALLEL }, read))
  const kept = new Set(ids.filter((_, index) => isSaved[index]))
  return { ...selected, ids: [...kept], named: selected.named.filter(({ jobId }) => kept.has(jobId)) }
}
