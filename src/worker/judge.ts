import type { Clock } from '../clock.ts'
import type { Claim, Queue } from '../inbox/inbox.ts'
import type { Outcome, Reason } from '../job.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import { type Results, ResultsUnavailable } from '../results/results.ts'
import type { Trouble } from '../telemetry/degradations.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import type { AttemptResult, SharedFailure } from './attempt.ts'
import { refusedKey } from './classify.ts'
import { createGate, type Gate, PROBE_EVERY_MS, type Probe } from './gate.ts'
import type { Suspicion } from './suspicion.ts'
import { createTroubles, type HostsSeen } from './troubles.ts'

/** A successful check of the store or the disk is trusted for this long, ms. */
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

/**
 * Evaluates what attempts reveal about everything that jobs share (account, stores, handler, hosts), and closes and
 * opens the gates.
 */
export type Judge = {
  readonly fetchGate: Gate
  readonly handOverGate: Gate
  /** Asks once whether the key is valid, so that a wrong key is reported before the first job. Never rejects. */
  start(signal: AbortSignal): Promise<void>
  /** Checked before jobs are claimed: a job that cannot be saved would waste a fetch. */
  canSave(signal: AbortSignal): Promise<boolean>
  readonly isOnTrial: boolean
  /** Acts on what the attempt revealed about what jobs share; returns the outcome for the job itself. */
  outcomeOf(claim: Claim, result: AttemptResult): Outcome
  /** The same for an attempt at side files. */
  note(jobId: string, seen: HostsSeen & { readonly shared: SharedFailure | null; readonly known: boolean }): void
  /** The problems that exist now and are no single job's fault. */
  readonly troubles: readonly Trouble[]
}

export function createJudge(deps: JudgeDeps): Judge {
  const { clock, events, scrub, suspicion } = deps
  const gateDeps = { clock, events, random: deps.random ?? Math.random }
  const fetchGate = createGate(gateDeps)
  const handOverGate = createGate(gateDeps)
  const troubles = createTroubles({ clock, scrub })
  let checkedAt = Number.NEGATIVE_INFINITY

  async function trouble(signal: AbortSignal): Promise<(Reason & { code: 'disk' | 'results' }) | null> {
    try {
      const lowDisk = await deps.queue.lowDisk()
      if (lowDisk !== null) return { code: 'disk', message: lowDisk }
    } catch (error) {
      return { code: 'disk', message: `the disk of the inbox cannot be checked: ${(error as Error).message}` }
    }
    try {
      await deps.results.check(signal)
      return null
    } catch (error) {
      // Out of descriptors for a moment; the next check will find some.
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

  function noteSeen(jobId: string, seen: Parameters<Judge['note']>[1]): void {
    if (seen.shared) actOn(seen.shared, false)
    troubles.hosts(jobId, seen)
    if (!seen.known) return
    troubles.reducto(null)
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
    async start(signal) {
      const isGood = await deps.probeAccount(signal).catch(() => null)
      if (signal.aborted) return
      const reason = refusedKey(null)
      if (isGood === false) fetchGate.close('reducto_auth', { ...reason, message: scrub(reason.message) }, probeKey)
      events.emit('keyProbed', { isGood })
    },
    canSave,
    get isOnTrial() {
      return suspicion.isOnTrial
    },
    note: noteSeen,
    outcomeOf(claim, result) {
      const { outcome, shared } = result
      const isHandOver = claim.task === 'hand_over'
      if (isHandOver && shared) actOn(shared, true)
      // A store that cannot deliver a result says nothing about the handler.
      if (result.handed !== null) troubles.handler(result.handed === 'retry' ? reasonOf(outcome) : null)
      if (isHandOver) return outcome
      if (isNoAnswer(outcome)) troubles.reducto(outcome.reason)
      noteSeen(claim.jobId, result)
      return doubt(claim, outcome)
    },
    get troubles() {
      const paused = [fetchGate, handOverGate].flatMap(({ cause, reason }) =>
        cause && reason ? [{ name: cause, message: reason.message }] : [],
      )
      return [...paused, ...troubles.current]
    },
  }
}

function reasonOf(outcome: Outcome): Reason {
  return 'reason' in outcome ? outcome.reason : { code: outcome.is, message: outcome.is }
}

/** Reducto could not be asked: no connection, no answer in time, or an error on its side. */
function isNoAnswer(outcome: Outcome): outcome is Extract<Outcome, { is: 'retry' }> {
  return outcome.is === 'retry' && /^(network|http_5\d\d)$/.test(outcome.reason.code)
}
