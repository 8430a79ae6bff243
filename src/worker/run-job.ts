import type { Clock } from '../clock.ts'
import type { PauseCause } from '../events.ts'
import { parseExact } from '../exact-json.ts'
import type { Claim } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import type { FetchJob } from '../reducto/fetch-job.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import type { JobRecord } from '../results/record.ts'
import type { Draft, Results } from '../results/results.ts'
import { classify } from './classify.ts'
import {
  type Answer,
  LinkExpired,
  type Material,
  type MaterialiseDeps,
  materialise,
  readAnswer,
} from './materialise.ts'

/** What an attempt came to. `trouble`: what holds up every job alike, so that the worker should pause or slow down. */
export type Attempted = {
  readonly outcome: Outcome
  readonly trouble: Trouble | null
  /** Reducto knew the job: the key and the region are right. */
  readonly known: boolean
  readonly calls: number
  readonly files: number
  readonly bytes: number
}

export type Trouble =
  | { readonly is: 'pause'; readonly cause: PauseCause; readonly reason: Reason }
  | { readonly is: 'slow'; readonly after: number | undefined }

export type RunJobDeps = MaterialiseDeps & {
  readonly fetchJob: FetchJob
  readonly probeAccount: ProbeAccount
  readonly results: Results
  /** Whether the claim still holds. */
  readonly holds: (claim: Claim) => Promise<boolean>
  readonly clock: Clock
}

/** The statuses after which a job does not change any more. Anything else is not final: a new one may be in between. */
const ENDED: ReadonlySet<string> = new Set(['Completed', 'Failed', 'Cancelled'])

/**
 * A side file that might yet be had keeps a job from being settled for so many attempts (some minutes, by the backoff);
 * then the result is saved without it.
 */
const SIDE_FILE_ATTEMPTS = 10

/** The claim was lost while the result was being made. */
export class ClaimLost extends Error {}

/** Runs one attempt: look for a record, else fetch, materialise, commit. Never throws. */
export async function runJob(claim: Claim, signal: AbortSignal, deps: RunJobDeps): Promise<Attempted> {
  const seen = { known: false, calls: 0, files: 0, bytes: 0 }

  async function attempt(): Promise<Outcome> {
    const before = claim.refetch ? null : await deps.results.record(claim.jobId)
    if (before) return { is: 'done', status: before.status, missing: before.files.failed }
    try {
      return await fetchAndSave(false)
    } catch (error) {
      if (!(error instanceof LinkExpired)) throw error
      return await fetchAndSave(true)
    }
  }

  async function fetchAndSave(fresh: boolean): Promise<Outcome> {
    seen.calls++
    const body = await deps.fetchJob(claim.jobId, signal)
    seen.known = true
    const fetchedAt = deps.clock.now()
    const { answer, scan } = await readAnswer(body, deps.scan)
    if (answer.status === null || !ENDED.has(answer.status))
      return {
        is: 'unfinished',
        reason: { code: 'unfinished', message: `Reducto says that the job is ${answer.status ?? 'without a status'}` },
      }
    const draft = await deps.results.draft(claim.jobId, claim.token)
    try {
      const follow = answer.status === 'Completed'
      const material = await materialise(body, scan, draft, { follow, fresh, signal }, deps)
      seen.files = material.files.count
      seen.bytes = material.bytes
      return await save(draft, answer, answer.status, material, fetchedAt)
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  async function save(
    draft: Draft,
    answer: Answer,
    status: string,
    material: Material,
    fetchedAt: number,
  ): Promise<Outcome> {
    const { failed } = material.files
    if (material.worthRetrying && claim.standing.tries + 1 < SIDE_FILE_ATTEMPTS) {
      await draft.discard()
      return {
        is: 'retry',
        reason: { code: 'side_files', message: `${failed} of ${material.files.count} files could not be had` },
      }
    }
    signal.throwIfAborted()
    // A refetch replaces what is there, which only the claim's holder may.
    if (!(await deps.holds(claim))) throw new ClaimLost()
    await draft.commit(recordOf(claim, answer, status, material, fetchedAt), { replace: claim.refetch })
    return { is: 'done', status, missing: failed }
  }

  try {
    return { outcome: await attempt(), trouble: null, ...seen }
  } catch (error) {
    if (signal.aborted) return { outcome: { is: 'interrupted' }, trouble: null, ...seen }
    return { ...(await classify(error, () => deps.probeAccount(signal))), ...seen }
  }
}

function recordOf(claim: Claim, answer: Answer, status: string, material: Material, fetchedAt: number): JobRecord {
  return {
    version: 1,
    job_id: claim.jobId,
    status,
    type: answer.type,
    reason: answer.reason,
    metadata: metadataOf(claim.body),
    endpoint: claim.endpoint,
    endpoints: claim.endpoints,
    svix_id: claim.svixId,
    received_at: new Date(claim.receivedAt).toISOString(),
    fetched_at: new Date(fetchedAt).toISOString(),
    complete: material.files.failed === 0,
    job: material.job,
    files: material.files,
  }
}

function metadataOf(body: string | null): unknown {
  if (body === null) return null
  return (parseExact(body) as { metadata?: unknown }).metadata ?? null
}
