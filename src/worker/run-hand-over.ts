import type { Clock } from '../clock.ts'
import type { HandedOver, HandOver } from '../handler/hand-over.ts'
import type { Claim } from '../inbox/inbox.ts'
import type { Outcome } from '../job.ts'
import type { JobRecord } from '../results/record.ts'
import { type Results, ResultsUnavailable } from '../results/results.ts'
import { type AttemptResult, NO_TIMES } from './attempt.ts'
import { classify } from './classify.ts'

export type HandOverDeps = {
  readonly results: Pick<Results, 'record' | 'check'>
  /** Hands saved results to the user; null when nothing is handed over. */
  readonly handOver: HandOver | null
  readonly clock: Clock
}

/**
 * A saved result is fetched again after this many failed attempts if the last two did not find it: a store may briefly
 * fail to find a file.
 */
const MISSING_UNTIL_FETCHED = 3
const MISSING = 'result_not_saved'

/** One attempt at handing over a saved result. Fetches nothing. Never throws. */
export async function runHandOver(claim: Claim, signal: AbortSignal, deps: HandOverDeps): Promise<AttemptResult> {
  let record: JobRecord | null = null
  let handed: HandedOver['is'] | null = null
  let handOverMs: number | null = null

  async function attempt(): Promise<Outcome> {
    record = await deps.results.record(claim.jobId, signal)
    if (record === null || record.gave_up) return missing()
    if (deps.handOver) {
      const call = { record, round: claim.round, attempt: claim.progress.failures + 1 }
      const began = deps.clock.monotonic()
      const answer = await deps.handOver(call, signal).finally(() => {
        handOverMs = deps.clock.monotonic() - began
      })
      if (signal.aborted && answer.is !== 'taken') return { is: 'interrupted' }
      handed = answer.is
      if (answer.is === 'refused') return { is: 'dead', reason: answer.reason }
      if (answer.is === 'retry') return answer
    }
    return { is: 'done', status: record.status, missing: record.files.failed }
  }

  function missing(): Outcome {
    const reason = { code: MISSING, message: 'the saved result is no longer in RESULTS_URL' }
    const { failures, reason: last } = claim.progress
    if (failures + 1 < MISSING_UNTIL_FETCHED || last?.code !== MISSING) return { is: 'retry', reason }
    return { is: 'unsaved', reason: { ...reason, message: `${reason.message}; it is fetched again` } }
  }

  const times = () => ({ ...NO_TIMES, handOverMs })
  const nothing = {
    known: false,
    calls: 0,
    files: 0,
    bytes: 0,
    partial: null,
    missingSideFiles: null,
    blockedHosts: [],
    reachedHosts: [],
  }
  try {
    const outcome = await attempt()
    return { outcome, record, shared: null, handed, ...nothing, times: times() }
  } catch (error) {
    if (signal.aborted)
      return { outcome: { is: 'interrupted' }, record, shared: null, handed, ...nothing, times: times() }
    const { outcome, shared } = await classify(error, {
      probeAccount: async () => null,
      // One unreadable result concerns that job only. A disk without free space does not matter here.
      resultsStoreIsHealthy: () => deps.results.check(signal).then(TRUE, isFull),
      hasFallback: false,
    })
    return { outcome, record, shared, handed, ...nothing, times: times() }
  }
}

const TRUE = () => true
const isFull = (error: unknown) => error instanceof ResultsUnavailable && error.trouble === 'disk'
