import type { Clock } from '../clock.ts'
import type { PauseCause } from '../events.ts'
import { parseExact } from '../exact-json.ts'
import type { HandOver } from '../handler/hand-over.ts'
import type { Claim } from '../inbox/inbox.ts'
import { contradiction, type Outcome, type Reason, type Stage } from '../job.ts'
import type { FetchJob } from '../reducto/fetch-job.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import type { JobRecord, NewRecord } from '../results/record.ts'
import type { Draft, Results } from '../results/results.ts'
import type { Scrub } from '../scrub.ts'
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
  /** How far it got. */
  readonly stage: Stage
  /** The record that it saved or found. */
  readonly record: JobRecord | null
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
  /** Hands saved results to the user; null when that is not wanted. */
  readonly handOver: HandOver | null
  /** Whether the claim still holds. */
  readonly holds: (claim: Claim) => Promise<boolean>
  readonly clock: Clock
  readonly scrub: Scrub
}

/** One attempt's part in the worker. */
export type Run = {
  readonly signal: AbortSignal
  /** Takes a place among the calls of the handler; false when all are taken. */
  readonly enterHandOver: () => boolean
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

/** Runs one attempt: look for a record, else fetch, materialise, commit; then hand over. Never throws. */
export async function runJob(claim: Claim, { signal, enterHandOver }: Run, deps: RunJobDeps): Promise<Attempted> {
  const seen = { known: false, calls: 0, files: 0, bytes: 0 }
  let stage: Stage = 'fetch'
  let record: JobRecord | null = null

  async function attempt(): Promise<Outcome> {
    const found = await deps.results.record(claim.jobId, signal)
    const saved = found && !outOfDate(found) ? found : await fetchAndSaveFresh({ replace: found !== null })
    if ('is' in saved) return saved
    record = saved
    return handOver(saved)
  }

  function outOfDate({ fetched_at, status }: JobRecord): boolean {
    if (claim.refetch && Date.parse(fetched_at) < claim.queuedAt) return true
    return claim.news > 0 && contradiction(status, claim.announced)
  }

  async function handOver(saved: JobRecord): Promise<Outcome> {
    if (deps.handOver) {
      stage = 'hand_over'
      if (!enterHandOver()) return { is: 'saved' }
      const attempt = claim.standing.stage === stage ? claim.standing.tries + 1 : 1
      const handed = await deps.handOver({ record: saved, round: claim.round, attempt }, signal)
      if (signal.aborted && handed.is !== 'taken') return { is: 'interrupted' }
      if (handed.is === 'refused') return { is: 'dead', reason: handed.reason }
      if (handed.is === 'retry') return handed
    }
    return { is: 'done', status: saved.status, missing: saved.files.failed }
  }

  async function fetchAndSaveFresh({ replace }: { replace: boolean }): Promise<JobRecord | Outcome> {
    try {
      return await fetchAndSave({ fresh: false, replace })
    } catch (error) {
      if (!(error instanceof LinkExpired)) throw error
      return await fetchAndSave({ fresh: true, replace })
    }
  }

  async function fetchAndSave({ fresh, replace }: { fresh: boolean; replace: boolean }): Promise<JobRecord | Outcome> {
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
    const draft = await deps.results.draft(claim.jobId, claim.token, { signal })
    try {
      const material = await materialise(body, reading, draft, { follow: status === 'Completed', fresh, signal }, deps)
      seen.files = material.files.count
      seen.bytes = material.bytes
      return await save(draft, recordOf(claim, answer, status, material, fetchedAt, deps.scrub), material, replace)
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  async function save(
    draft: Draft,
    made: NewRecord,
    material: Material,
    replace: boolean,
  ): Promise<JobRecord | Outcome> {
    const { failed, count } = material.files
    if (material.worthRetrying && claim.standing.tries + 1 < SIDE_FILE_ATTEMPTS) {
      await draft.discard()
      return { is: 'retry', reason: { code: 'side_files', message: `${failed} of ${count} files could not be had` } }
    }
    signal.throwIfAborted()
    // A replacement is for the claim's holder only.
    if (!(await deps.holds(claim))) throw new ClaimLost()
    const isOurs = await draft.commit(made, { replace })
    return isOurs ? made : ((await deps.results.record(claim.jobId, signal)) ?? made)
  }

  try {
    const outcome = await attempt()
    return { outcome, trouble: null, stage, record, ...seen }
  } catch (error) {
    const classified = await classify(error, {
      probeAccount: () => deps.probeAccount(signal),
      storeIsFine: () => deps.results.check(signal).then(TRUE, FALSE),
    })
    return { ...(signal.aborted ? INTERRUPTED : classified), stage, record, ...seen }
  }
}

const INTERRUPTED = { outcome: { is: 'interrupted' }, trouble: null } as const
const TRUE = () => true
const FALSE = () => false

function recordOf(
  claim: Claim,
  answer: Answer,
  status: string,
  material: Material,
  fetchedAt: number,
  scrub: Scrub,
): NewRecord {
  return {
    version: 1,
    job_id: claim.jobId,
    status,
    type: answer.type,
    reason: answer.reason === null ? null : scrub(answer.reason),
    metadata: metadataOf(claim.body),
    endpoint: claim.endpoint,
    endpoints: claim.endpoints,
    round: claim.round,
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
