import type { Clock } from '../clock.ts'
import type { Degraded, EventBus } from '../events.ts'
import type { Claim, Queue } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import { type Results, ResultsUnavailable } from '../results/results.ts'
import type { Scrub } from '../scrub.ts'
import type { AttemptResult, SharedFailure } from './attempt.ts'
import { createGate, type Gate, PROBE_EVERY_MS, type Probe } from './gate.ts'
import type { Suspicion } from './suspicion.ts'

/** After this many consecutive handler failures across jobs, report the handler as degraded. */
const HANDLER_FAILURES = 5
/** A host that was refused for so many different jobs is no one document's trouble. */
const BLOCKED_JOBS = 3
/** A refusal that no job has met again for so long is over, ms. */
const BLOCKED_FOR_MS = 3_600_000
/** Hosts that are remembered: links are others' words. */
const MAX_BLOCKED_HOSTS = 100
/** A successful look at the store, or at the disk, is trusted for this long, ms. */
const STORE_CHECK_INTERVAL_MS = 10_000

export type JudgeDeps = {
  readonly results: Pick<Results, 'check'>
  readonly queue: Pick<Queue, 'lowDisk'>
  readonly probeAccount: ProbeAccount
  readonly suspicion: Suspicion
  readonly clock: Clock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly random?: () => number
}

/** What attempts tell about everything but their job: account, stores, handler, hosts. It closes and opens the gates. */
export type Judge = {
  readonly fetchGate: Gate
  readonly handOverGate: Gate
  /** Looked at before jobs are claimed, since finding out by a job's failure wastes a fetch. */
  canSave(signal: AbortSignal): Promise<boolean>
  readonly isOnTrial: boolean
  /** Acts on what the attempt revealed about what jobs share; returns the outcome for the job itself. */
  outcomeOf(claim: Claim, result: AttemptResult): Outcome
  /** The same for what a try at side files revealed. */
  note(jobId: string, seen: HostsSeen & { readonly shared: SharedFailure | null; readonly known: boolean }): void
  readonly degraded: readonly Degraded[]
}

export type HostsSeen = Pick<AttemptResult, 'blockedHosts' | 'reachedHosts'>

export function createJudge(deps: JudgeDeps): Judge {
  const { clock, events, scrub, suspicion } = deps
  const gateDeps = { clock, events, random: deps.random ?? Math.random }
  const fetchGate = createGate(gateDeps)
  const handOverGate = createGate(gateDeps)
  const blocked = new Map<string, { readonly jobs: Set<string>; readonly at: number }>()
  let handlerFailures = 0
  let checkedAt = Number.NEGATIVE_INFINITY

  async function trouble(signal: AbortSignal): Promise<(Reason & { code: 'disk' | 'results' }) | null> {
    try {
      const lowDisk = await deps.queue.lowDisk()
      if (lowDisk !== null) return { code: 'disk', message: lowDisk }
    } catch (error) {
      return { code: 'disk', message: `the disk of the inbox cannot be looked at: ${(error as Error).message}` }
    }
    try {
      await deps.results.check(signal)
      return null
    } catch (error) {
      // Out of descriptors for a moment: the next one will find some.
      if (error instanceof ResultsUnavailable && error.trouble === 'busy') return null
      const code = error instanceof ResultsUnavailable && error.trouble === 'disk' ? 'disk' : 'results'
      return { code, message: (error as Error).message }
    }
  }

  async function canSave(signal: AbortSignal): Promise<boolean> {
    if (clock.monotonic() - checkedAt < STORE_CHECK_INTERVAL_MS) return true
    const found = await trouble(signal)
    if (signal.aborted) return false
    if (found) fetchGate.close(found.code, { ...found, message: scrub(found.message) }, probeStore)
    else checkedAt = clock.monotonic()
    return found === null
  }

  const probeStore: Probe = async (signal) => ((await trouble(signal)) ? 'still' : 'gone')
  const probeReading: Probe = async (signal) =>
    deps.results.check(signal).then(
      () => 'gone',
      (error) => (error instanceof ResultsUnavailable && error.trouble !== 'disk' ? 'still' : 'gone'),
    )
  const probeKey: Probe = async (signal) => ((await deps.probeAccount(signal)) === true ? 'gone' : 'still')

  function actOn(shared: SharedFailure, isHandOver: boolean): void {
    if (shared.is === 'slow') return fetchGate.rateLimited(shared.after)
    const reason = { ...shared.reason, message: scrub(shared.reason.message) }
    if (isHandOver) return handOverGate.close(shared.cause, reason, probeReading)
    fetchGate.close(shared.cause, reason, shared.cause === 'reducto_auth' ? probeKey : probeStore)
  }

  /** A host is in doubt while jobs meet its refusal: not any more when it gives a file, or nobody meets it for long. */
  function noteHosts(jobId: string, { blockedHosts, reachedHosts }: HostsSeen): void {
    for (const host of reachedHosts) blocked.delete(host)
    for (const host of blockedHosts) {
      const jobs = blocked.get(host)?.jobs ?? new Set()
      if (jobs.size < BLOCKED_JOBS) jobs.add(jobId)
      blocked.delete(host)
      blocked.set(host, { jobs, at: clock.monotonic() })
    }
    // The first is the one that was met longest ago.
    for (const host of blocked.keys()) if (blocked.size > MAX_BLOCKED_HOSTS) blocked.delete(host)
  }

  function areDownloadsBlocked(): boolean {
    const since = clock.monotonic() - BLOCKED_FOR_MS
    return [...blocked.values()].some(({ jobs, at }) => jobs.size >= BLOCKED_JOBS && at >= since)
  }

  function noteSeen(jobId: string, seen: Parameters<Judge['note']>[1]): void {
    if (seen.shared) actOn(seen.shared, false)
    noteHosts(jobId, seen)
    if (!seen.known) return
    suspicion.found()
    fetchGate.callSucceeded()
    if (fetchGate.cause === 'reducto_auth') fetchGate.open()
  }

  function doubt(claim: Claim, outcome: Outcome): Outcome {
    if (outcome.is !== 'gone' || outcome.reason.code !== 'unknown_job') return outcome
    if (!suspicion.unknown(claim.jobId)) return outcome
    const message = `Reducto knows none of ${suspicion.count} jobs: are REDUCTO_API_KEY and REDUCTO_ENVIRONMENT those of the account that submits them? Or have all of these been purged?`
    const reason = { code: 'reducto_auth', message }
    fetchGate.close('reducto_auth', { ...reason, message: scrub(message) }, suspicion.probe)
    return { is: 'wait', reason, after: PROBE_EVERY_MS }
  }

  return {
    fetchGate,
    handOverGate,
    canSave,
    get isOnTrial() {
      return suspicion.isOnTrial
    },
    note: noteSeen,
    outcomeOf(claim, result) {
      const { outcome, shared } = result
      const isHandOver = claim.task === 'hand_over'
      if (isHandOver && shared) actOn(shared, true)
      // A store that does not give a result says nothing about the handler.
      if (result.handed !== null) handlerFailures = result.handed === 'retry' ? handlerFailures + 1 : 0
      if (isHandOver) return outcome
      noteSeen(claim.jobId, result)
      return doubt(claim, outcome)
    },
    get degraded() {
      const causes = new Set<Degraded>()
      for (const gate of [fetchGate, handOverGate]) if (gate.cause) causes.add(gate.cause)
      if (handlerFailures >= HANDLER_FAILURES) causes.add('handler')
      if (areDownloadsBlocked()) causes.add('downloads')
      return [...causes]
    },
  }
}
