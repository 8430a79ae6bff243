import type { ScanDocument } from '../answer/scan-thread.ts'
import type { Clock } from '../clock.ts'
import type { Download } from '../download/download.ts'
import type { Claim, ClaimId } from '../inbox/inbox.ts'
import { isTestJob } from '../job.ts'
import type { FetchJob } from '../reducto/fetch-job.ts'
import { FINAL } from '../reducto/job-status.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import { FILES, JOB, type JobRecord, type NewRecord, type SavedFile } from '../results/record.ts'
import { type Draft, type Results, ResultsUnavailable } from '../results/results.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { fetchAnswer, type JobAnswer, piecesOf } from './answer.ts'
import type { AttemptResult, PartialResult } from './attempt.ts'
import { classify } from './classify.ts'
import { type Collector, createCollector, type Listed } from './collect.ts'
import { ClaimLost, ResultUnfinished } from './failures.ts'
import { createHosts } from './hosts.ts'
import { createBudget, createLinkSaver } from './save-link.ts'
import { createTimes } from './times.ts'

export type FetchDeps = {
  readonly fetchJob: FetchJob
  readonly probeAccount: ProbeAccount
  readonly download: Download
  readonly scan: ScanDocument
  readonly results: Results
  /** Returns the lost ones among these claims. */
  readonly lost: (claims: readonly ClaimId[]) => Promise<readonly ClaimId[]>
  /** Reads the metadata from a delivery's body. */
  readonly metadataOf: (body: string) => unknown
  /** Maximum bytes of one result. */
  readonly maxBytes: number
  readonly clock: Clock
  readonly scrub: Scrub
}

/** One attempt at a job's result: use a saved result, else fetch, collect and commit. Never throws. */
export async function runFetch(claim: Claim, signal: AbortSignal, deps: FetchDeps): Promise<AttemptResult> {
  const seen = { known: false, calls: 0, files: 0, bytes: 0 }
  const times = createTimes(deps.clock)
  const hosts = createHosts()
  let found: JobRecord | null = null
  let partial: PartialResult | null = null

  async function attempt(): Promise<AttemptResult> {
    // Reducto would be asked for hours, and its answer taken for a wrong key.
    if (isTestJob(claim.jobId)) return testJobDone(claim.announced)
    found = await deps.results.record(claim.jobId, signal)
    // A process that died between saving and settling has not scheduled the missing side files.
    if (found && isCurrent(found)) return finished(found, found.files.failed > 0 ? { after: 0 } : null)
    const answer = await ask()
    const { status } = answer.reading
    if (status === null || !FINAL.has(status))
      throw new ResultUnfinished('unfinished', `Reducto says that the job is ${status ?? 'without a status'}`)
    const draft = await deps.results.draft(claim.jobId, claim.token, { signal })
    // From here on the draft is kept until it is known to be worth nothing, whatever fails.
    partial = partialOf(draft, answer, status)
    return times.saving(() => collectAll(draft, answer, status))
  }

  /** A saved record counts if it holds a result and was fetched late enough. */
  function isCurrent({ gave_up, round }: JobRecord): boolean {
    return !gave_up && round >= claim.fetchSince
  }

  async function ask(): Promise<JobAnswer> {
    const fetchJob: FetchDeps['fetchJob'] = (jobId, until) => {
      seen.calls++
      return deps.fetchJob(jobId, until)
    }
    const answer = await times.fetching(() => fetchAnswer(claim.jobId, { fetchJob, scan: deps.scan }, signal))
    seen.known = true
    return answer
  }

  async function collectAll(draft: Draft, answer: JobAnswer, status: string): Promise<AttemptResult> {
    const { collector, job } = await begin(draft, answer, status)
    if (status === 'Completed' && answer.reading.lacks !== null)
      throw new ResultUnfinished('no_result', `Reducto's answer has no result: ${answer.reading.lacks}`)
    partial = partialOf(draft, answer, status, { collector, job })
    await collector.run()
    const listed = await collector.list()
    seen.files = listed.files.count
    const record = recordOf(answer, status, job, listed, null)
    signal.throwIfAborted()
    // Only the holder of the claim may replace a result.
    if ((await deps.lost([claim])).length > 0) throw new ClaimLost('another worker has this job now')
    const isOurs = await draft.commit(record, { replace: found !== null })
    partial = null
    const saved = isOurs ? record : ((await deps.results.record(claim.jobId, signal)) ?? record)
    const isWorthRetrying = isOurs && listed.isWorthRetrying && !listed.isComplete
    return finished(saved, isWorthRetrying ? { after: hosts.longestRest } : null)
  }

  /** Saves the answer first; its links are followed from there. */
  async function begin(draft: Draft, answer: JobAnswer, status: string) {
    const budget = createBudget(deps.maxBytes, answer.body.byteLength)
    const job = await draft.write(JOB, piecesOf(answer.body, signal))
    const saver = createLinkSaver({ draft, download: deps.download, scan: deps.scan, hosts, budget })
    const links = status === 'Completed' ? answer.reading.links : []
    const collector = createCollector(
      {
        root: { path: job.path, links },
        had: [],
        freshLinks: async () => {
          const { reading, warning } = await ask()
          return reading.status === 'Completed' && reading.lacks === null && warning === null ? reading.links : null
        },
        signal,
      },
      { draft, saver, hosts, clock: deps.clock },
    )
    return { collector, job }
  }

  function partialOf(
    draft: Draft,
    answer: JobAnswer,
    status: string,
    had?: { collector: Collector; job: SavedFile },
  ): PartialResult {
    return {
      isKept: Boolean(found?.gave_up),
      async keep(reason) {
        // The new holder of the job decides what is kept of it.
        if ((await deps.lost([claim])).length > 0) return draft.discard()
        const job = had?.job ?? (await draft.write(JOB, piecesOf(answer.body, signal)))
        const listed = (await had?.collector.list()) ?? (await listNothing(draft))
        const given = { code: reason.code, message: deps.scrub(reason.message) }
        // An existing result of any round is worth more.
        const replace = found !== null && Boolean(found.gave_up)
        await draft.commit(recordOf(answer, status, job, listed, given), { replace })
      },
      discard: () => draft.discard(),
    }
  }

  function recordOf(
    { reading, warning }: JobAnswer,
    status: string,
    job: SavedFile,
    listed: Listed,
    gaveUp: NonNullable<NewRecord['gave_up']> | null,
  ): NewRecord {
    seen.bytes = job.bytes + listed.files.bytes
    return {
      version: 1,
      job_id: claim.jobId,
      status,
      type: reading.type,
      reason: reading.reason === null ? null : deps.scrub(reading.reason),
      metadata: claim.body === null ? (found?.metadata ?? null) : deps.metadataOf(claim.body),
      endpoint: claim.endpoint,
      endpoints: claim.endpoints,
      round: claim.round,
      svix_id: claim.svixId,
      received_at: new Date(claim.receivedAt).toISOString(),
      fetched_at: new Date(deps.clock.now()).toISOString(),
      complete: listed.isComplete && warning === null && gaveUp === null,
      ...(warning === null ? {} : { warning }),
      ...(gaveUp === null ? {} : { gave_up: gaveUp }),
      job,
      files: listed.files,
    }
  }

  function testJobDone(status: string | null): AttemptResult {
    const outcome = { is: 'done', status: status ?? 'Completed', missing: 0 } as const
    const nothing = { record: null, shared: null, partial: null, missingSideFiles: null, handed: null }
    return { outcome, ...nothing, blockedHosts: [], reachedHosts: [], ...seen, times: times.taken }
  }

  async function dropPartial(): Promise<void> {
    await partial?.discard()
    partial = null
  }

  function finished(record: JobRecord, missingSideFiles: AttemptResult['missingSideFiles']): AttemptResult {
    const outcome = { is: 'saved', status: record.status, missing: record.files.failed } as const
    return {
      outcome,
      record,
      shared: null,
      partial: null,
      missingSideFiles,
      blockedHosts: [...hosts.blocked],
      reachedHosts: [...hosts.reached],
      handed: null,
      ...seen,
      times: times.taken,
    }
  }

  try {
    return await attempt()
  } catch (error) {
    // A result that does not fit must not make the store look full for all jobs: discard it before the store is
    // checked.
    if (error instanceof ResultsUnavailable && error.trouble === 'disk') await dropPartial()
    const classified = await classify(error, {
      probeAccount: () => deps.probeAccount(signal),
      resultsStoreIsHealthy: () => deps.results.check(signal).then(TRUE, FALSE),
      hasFallback: found !== null && !(found as JobRecord).gave_up,
    })
    return {
      ...(signal.aborted ? INTERRUPTED : classified),
      record: null,
      partial,
      missingSideFiles: null,
      blockedHosts: [...hosts.blocked],
      reachedHosts: [...hosts.reached],
      handed: null,
      ...seen,
      times: times.taken,
    }
  }
}

const INTERRUPTED = { outcome: { is: 'interrupted' }, shared: null } as const
const TRUE = () => true
const FALSE = () => false

async function listNothing(draft: Draft): Promise<Listed> {
  const saved = await draft.write(FILES, (async function* () {})())
  return { files: { ...saved, count: 0, failed: 0 }, isComplete: false, isWorthRetrying: false }
}
