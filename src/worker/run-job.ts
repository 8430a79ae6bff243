import type { Clock } from '../clock.ts'
import type { PauseCause } from '../events.ts'
import { parseExact } from '../exact-json.ts'
import type { Claim } from '../inbox/inbox.ts'
import { contradiction, type Outcome, type Reason } from '../job.ts'
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
    const before = await deps.results.record(claim.jobId)
    if (before && !outOfDate(before)) return { is: 'done', status: before.status, missing: before.files.failed }
    const replace = before !== null
    try {
      return await fetchAndSave({ fresh: false, replace })
    } catch (error) {
      if (!(error instanceof LinkExpired)) throw error
      return await fetchAndSave({ fresh: true, replace })
    }
  }

  function outOfDate(record: JobRecord): boolean {
    return claim.refetch || (claim.news > 0 && contradiction(record.status, claim.announced))
  }

  async function fetchAndSave({ fresh, replace }: { fresh: boolean; replace: boolean }): Promise<Outcome> {
    seen.calls++
    const body = await deps.fetchJob(claim.jobId, signal)
    seen.known = true
    const fetchedAt = deps.clock.now()
    const { answer, reading } = await readAnswer(body, deps.scan, signal)
    const { status } = answer
    if (status === null || !ENDED.has(status)) {
      const message = `Reducto says that the job is ${status ?? 'without a status'}`
      return { is: 'unfinished', reason: { code: 'unfinished', message } }
    }
    const draft = await deps.results.draft(claim.jobId, claim.token)
    try {
      const material = await materialise(body, reading, draft, { follow: status === 'Completed', fresh, signal }, deps)
      seen.files = material.files.count
      seen.bytes = material.bytes
      return await save(draft, recordOf(claim, answer, status, material, fetchedAt), material, replace)
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  async function save(draft: Draft, record: JobRecord, material: Material, replace: boolean): Promise<Outcome> {
    const { failed, count } = material.files
    if (material.worthRetrying && claim.standing.tries + 1 < SIDE_FILE_ATTEMPTS) {
      await draft.discard()
      return { is: 'retry', reason: { code: 'side_files', message: `${failed} of ${count} files could not be had` } }
    }
    signal.throwIfAborted()
    // A replacement is for the claim's holder only.
    if (!(await deps.holds(claim))) throw new ClaimLost()
    await draft.commit(record, { replace })
    return { is: 'done', status: record.status, missing: failed }
  }

  try {
    return { outcome: await attempt(), trouble: null, ...seen }
  } catch (error) {
    const classified = await classify(error, {
      probeAccount: () => deps.probeAccount(signal),
      storeIsFine: () => deps.results.check().then(TRUE, FALSE),
    })
    return { ...(signal.aborted ? INTERRUPTED : classified), ...seen }
  }
}

const INTERRUPTED = { outcome: { is: 'interrupted' }, trouble: null } as const
const TRUE = () => true
const FALSE = () => false

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
