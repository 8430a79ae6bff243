import type { Clock } from '../clock.ts'
import type { AttemptWork, Claim, ClaimId, NewAttempt, Queue } from '../inbox/inbox.ts'
import {
  afterAttempt,
  type CleanOutcome,
  firstSideFiles,
  type JobProgress,
  nextSideFiles,
  type Outcome,
  type Patience,
  type SideFilesProgress,
  type Stage,
} from '../job.ts'
import { aborted, type LinkedSignal, linkSignals } from '../signals.ts'
import type { Trouble } from '../telemetry/degradations.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import type { AttemptResult } from './attempt.ts'
import type { Judge } from './judge.ts'
import { createLoop, type Loop } from './loop.ts'
import type { SideFilesResult } from './run-side-files.ts'

export type WorkerDeps = {
  readonly queue: Queue
  readonly judge: Judge
  readonly runFetch: (claim: Claim, signal: AbortSignal) => Promise<AttemptResult>
  readonly runHandOver: (claim: Claim, signal: AbortSignal) => Promise<AttemptResult>
  readonly runSideFiles: (claim: Claim, signal: AbortSignal) => Promise<SideFilesResult>
  readonly removeAbandonedDrafts: (signal: AbortSignal) => Promise<void>
  /** Jobs fetched at once, and results handed over at once. 0: this process only receives. */
  readonly concurrency: number
  /** Whether results are handed over. */
  readonly hasHandler: boolean
  readonly patience: Patience
  readonly clock: Clock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly random?: () => number
}

export type Worker = {
  start(): void
  /** Stops claiming, gives running jobs `grace` ms, then interrupts them. May be called twice. */
  stop(grace: number): Promise<void>
  /** Interrupts these jobs: their claims are lost. */
  abandon(claims: readonly ClaimId[]): void
  /** The problems that exist now and are no single job's fault. */
  readonly troubles: readonly Trouble[]
  /** Jobs of each stage that run now. */
  readonly busy: Readonly<Record<Stage, number>>
}

/** Time for interrupted jobs to settle, ms. */
const SETTLE_TIMEOUT_MS = 1_000
/** Delay before the next try after the inbox failed, ms. */
const INBOX_RETRY_DELAY_MS = 1_000

/**
 * From durable to handed over: two loops, each with its own slots and gate, connected by the inbox. A failure at
 * Reducto never delays saved results, and a hanging handler never delays a fetch.
 */
export function createWorker(deps: WorkerDeps): Worker {
  const { queue, clock, events, judge, scrub, patience } = deps
  const random = deps.random ?? Math.random
  const stopping = new AbortController()
  const interrupting = new AbortController()
  /** What runs, by the token of its claim. */
  const runs = new Map<number, LinkedSignal>()
  let looping: Promise<unknown> | null = null
  let stopped: Promise<void> | null = null

  const common = { queue, slots: deps.concurrency, clock, events }
  const fetching: Loop = createLoop({
    ...common,
    stage: 'fetch',
    gate: judge.fetchGate,
    isFine: () => judge.canSave(stopping.signal),
    isOtherOpen: () => judge.handOverGate.isOpen,
    newestFirst: () => judge.isOnTrial,
    run: (claim) => (claim.task === 'side_files' ? trySideFiles(claim) : attempt(claim, deps.runFetch)),
  })
  const handing: Loop = createLoop({
    ...common,
    stage: 'hand_over',
    gate: judge.handOverGate,
    isFine: async () => true,
    isOtherOpen: () => judge.fetchGate.isOpen,
    newestFirst: () => false,
    run: (claim) => attempt(claim, deps.runHandOver),
  })

  /** A run's signal: aborts when the worker stops, or the claim is lost. */
  function interruptible({ token }: Claim): LinkedSignal {
    const linked = linkSignals(interrupting.signal)
    runs.set(token, linked)
    return {
      ...linked,
      [Symbol.dispose]() {
        runs.delete(token)
        linked[Symbol.dispose]()
      },
    }
  }

  async function attempt(claim: Claim, run: WorkerDeps['runFetch']): Promise<void> {
    using signal = interruptible(claim)
    const startedAt = clock.now()
    const began = clock.monotonic()
    const number = claim.progress.failures + 1
    events.emit('started', { jobId: claim.jobId, attempt: number })
    const result = await run(claim, signal.signal)
    const outcome = clean(withoutHandler(judge.outcomeOf(claim, result)))
    const ms = clock.monotonic() - began
    const next = afterAttempt(claim.progress, outcome, { now: clock.now(), ms, patience, random })
    await settlePartial(result, next)
    const noted = note(claim, startedAt, ms, outcome, result.record, workOf(claim, result))
    const sideFiles = result.missingSideFiles && firstSideFiles(clock.now(), result.missingSideFiles.after, random)
    if (!(await settled(claim, () => queue.settle(claim, next, noted, sideFiles)))) return
    const { calls, files, bytes } = result
    const { state, dueAt } = next
    const { jobId, task } = claim
    const type = result.record?.type ?? null
    const seen = { calls, files, bytes, type, sinceDelivery: sinceDelivery(claim) }
    events.emit('settled', { jobId, stage: task, outcome, state, attempt: number, dueAt, ms, ...seen })
  }

  /** Of later rounds it would say how long ago a person wanted something else. */
  function sinceDelivery({ round, svixId, receivedAt }: Claim): number | null {
    return round === 1 && svixId !== null ? Math.max(clock.now() - receivedAt, 0) : null
  }

  /** Without a handler, a saved job is done. */
  function withoutHandler(outcome: Outcome): Outcome {
    return outcome.is === 'saved' && !deps.hasHandler ? { ...outcome, is: 'done' } : outcome
  }

  /**
   * Keeps the saved part of a result when its job is given up, before the job is settled. It also does so once half of
   * the patience is spent: Reducto may have purged the job by the last attempt.
   */
  async function settlePartial({ partial, outcome }: AttemptResult, next: JobProgress): Promise<void> {
    if (!partial) return
    const isLate = next.spent >= patience.fetch / 2 && (outcome.is === 'retry' || outcome.is === 'unfinished')
    try {
      if (next.reason && (next.state === 'dead' || (isLate && !partial.isKept))) return await partial.keep(next.reason)
    } catch (error) {
      events.emit('failing', { what: 'keep what was saved of a job that is given up', error })
    }
    await partial.discard()
  }

  async function trySideFiles(claim: Claim): Promise<void> {
    using signal = interruptible(claim)
    const startedAt = clock.now()
    const began = clock.monotonic()
    const was = claim.sideFiles!
    const result = await deps.runSideFiles(claim, signal.signal)
    const ms = clock.monotonic() - began
    judge.note(claim.jobId, result)
    const isInterrupted = interrupting.signal.aborted
    const next = isInterrupted ? { ...was, dueAt: clock.now() } : following(was, result, ms)
    const missing = result.record?.files.failed ?? null
    const done = { is: 'done', status: result.record?.status ?? '', missing: missing ?? 0 } as const
    const outcome = clean(isInterrupted ? { is: 'interrupted' } : (result.outcome ?? done))
    const noted = note(claim, startedAt, ms, outcome, result.record, { calls: result.calls })
    if (!(await settled(claim, () => queue.settleSideFiles(claim, next, noted)))) return
    events.emit('sideFiles', { jobId: claim.jobId, missing, again: next?.dueAt ?? null, ms, calls: result.calls })
  }

  /** As for a fetch, a failure that is not the job's fault spends no patience. */
  function following(
    was: SideFilesProgress,
    { again, outcome }: SideFilesResult,
    ms: number,
  ): SideFilesProgress | null {
    if (outcome?.is === 'wait') return { ...was, dueAt: clock.now() + outcome.after }
    return again && nextSideFiles(was, again.after, { now: clock.now(), ms, patience, random })
  }

  function note(
    claim: Claim,
    startedAt: number,
    ms: number,
    outcome: CleanOutcome,
    record: AttemptResult['record'],
    work: Partial<AttemptWork>,
  ): NewAttempt {
    return {
      startedAt,
      ms,
      task: claim.task,
      outcome: outcome.is,
      reason: 'reason' in outcome ? outcome.reason : null,
      savedStatus: record?.status ?? null,
      type: record?.type ?? null,
      round: claim.round,
      ...work,
    }
  }

  /** What a hand-over did is told by its time alone: it fetches and saves nothing. */
  function workOf({ task }: Claim, { calls, files, bytes, times }: AttemptResult): Partial<AttemptWork> {
    return task === 'hand_over' ? times : { calls, files, bytes, ...times }
  }

  function clean(outcome: Outcome): CleanOutcome {
    if (!('reason' in outcome)) return outcome
    return { ...outcome, reason: { ...outcome.reason, message: scrub(outcome.reason.message) } }
  }

  /**
   * Retries until the settlement is written: without it the job would stay running for ever. Returns false when the
   * claim was lost, or the service stops first.
   */
  async function settled(claim: Claim, write: () => Promise<boolean>): Promise<boolean> {
    for (;;) {
      try {
        if (await write()) return true
        events.emit('claimLost', { jobId: claim.jobId })
        return false
      } catch (error) {
        events.emit('failing', { what: `settle ${claim.jobId}`, error })
        if (interrupting.signal.aborted) return false
        await clock.sleep(INBOX_RETRY_DELAY_MS, interrupting.signal)
      }
    }
  }

  /** Deliveries are accepted while this runs, however many drafts there are. */
  async function removeAbandonedDrafts(): Promise<void> {
    using stop = aborted(stopping.signal)
    const removing = deps.removeAbandonedDrafts(stopping.signal).catch((error) => {
      if (!stopping.signal.aborted) events.emit('failing', { what: 'remove abandoned drafts', error })
    })
    await Promise.race([removing, stop.promise])
  }

  async function stop(grace: number): Promise<void> {
    stopping.abort()
    const waiting = new AbortController()
    const running = Promise.all([looping, fetching.idle(), handing.idle()])
    const interrupt = clock.sleep(grace, waiting.signal).then(() => interrupting.abort())
    // Abandon jobs that do not stop in time, so that the process is not killed as a whole.
    await Promise.race([running, clock.sleep(grace + SETTLE_TIMEOUT_MS, waiting.signal)])
    waiting.abort()
    await interrupt
  }

  return {
    start() {
      if (looping || deps.concurrency === 0) return
      void judge.start(stopping.signal)
      looping = removeAbandonedDrafts().then(() =>
        Promise.all([fetching.start(stopping.signal), handing.start(stopping.signal)]),
      )
    },
    stop(grace) {
      stopped ??= stop(grace)
      return stopped
    },
    abandon(claims) {
      for (const { token } of claims) runs.get(token)?.abort()
    },
    get troubles() {
      return judge.troubles
    },
    get busy() {
      return { fetch: fetching.busy, hand_over: handing.busy }
    },
  }
}
