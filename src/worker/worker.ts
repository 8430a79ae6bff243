import type { Clock, WorkingClock } from '../clock.ts'
import type { EventBus, PauseCause } from '../events.ts'
import type { Claim, Places, Queue } from '../inbox/inbox.ts'
import { afterAttempt, atStage, type Outcome, type Patience, type Reason, type Stage } from '../job.ts'
import type { ProbeAccount } from '../reducto/probe.ts'
import type { Results } from '../results/results.ts'
import { ResultsUnavailable } from '../results/results.ts'
import type { Scrub } from '../scrub.ts'
import { createGate, PROBE_EVERY, type Probe } from './gate.ts'
import type { Attempted, Run } from './run-job.ts'

export type WorkerDeps = {
  readonly queue: Queue
  readonly run: (claim: Claim, run: Run) => Promise<Attempted>
  readonly results: Pick<Results, 'check' | 'removeAbandonedDrafts'>
  readonly probeAccount: ProbeAccount
  /** Jobs fetched at once, and results handed over at once: a handler that hangs holds up no fetch. */
  readonly concurrency: number
  /** Whether results are handed over at all. */
  readonly handsOver: boolean
  readonly patience: Patience
  readonly clock: Clock
  readonly working: WorkingClock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly random?: () => number
}

export type Worker = {
  start(): void
  /** Claims nothing any more, gives running jobs `grace` ms, then interrupts them. May be called twice. */
  stop(grace: number): Promise<void>
  /** Why it claims nothing; null while it works. */
  readonly pausedBy: PauseCause | null
  /** The user's code has taken none of the last results. */
  readonly handlerFails: boolean
}

/** So many different jobs in a row unknown to Reducto, and none known since the start: not the jobs are wrong. */
const UNKNOWN_IN_A_ROW = 10
/** So many failed calls in a row, of whichever jobs: not the results are wrong. */
const HANDLER_FAILURES = 5
/** How long a look at the store of results is good for, ms. */
const CHECK_EVERY = 10_000
/** After running jobs were interrupted, for them to settle, ms. */
const LAST_PATIENCE = 1_000
/** After the inbox failed: before the next try, ms. */
const INBOX_PAUSE = 1_000

/** From durable to saved: claims due jobs, runs them side by side, and settles each by its outcome. */
export function createWorker(deps: WorkerDeps): Worker {
  const { queue, clock, working, events, results, scrub } = deps
  const random = deps.random ?? Math.random
  const gate = createGate({ clock, working, events, random })
  const stopping = new AbortController()
  const interrupting = new AbortController()
  const running = new Set<Promise<void>>()
  const busy: Record<Stage, number> = { fetch: 0, hand_over: 0 }
  /** Aborts when a place becomes free. */
  let freed = new AbortController()
  const unknown = new Set<string>()
  let foundAny = false
  let handlerFailures = 0
  let checkedAt = Number.NEGATIVE_INFINITY
  let looping: Promise<void> | null = null
  let stopped: Promise<void> | null = null

  async function loop(): Promise<void> {
    const { signal } = stopping
    await Promise.race([tidy(), once(signal)])
    while (!signal.aborted) {
      const trial = await gate.pass(signal)
      if (signal.aborted) return
      if (!trial && !(await storeIsFine())) continue
      freed = new AbortController()
      const either = AbortSignal.any([signal, freed.signal])
      const fetches = Math.max(deps.concurrency - busy.fetch, 0)
      const handOvers = Math.max(deps.handsOver ? deps.concurrency - busy.hand_over : fetches, 0)
      if (fetches + handOvers === 0) {
        await once(either)
        continue
      }
      const claims = await claim({ fetches, handOvers, most: deps.handsOver ? fetches + handOvers : fetches }, signal)
      for (const one of claims) start(one, trial)
      if (trial) await Promise.all(running)
      else if (claims.length === 0) await queue.ready(either)
    }
  }

  /** Deliveries are accepted while this goes on, however much there is. */
  async function tidy(): Promise<void> {
    await results
      .removeAbandonedDrafts(async () => true, stopping.signal)
      .catch((error) => stopping.signal.aborted || events.emit('stuck', { what: 'tidy', error }))
  }

  async function claim(places: Places, signal: AbortSignal): Promise<readonly Claim[]> {
    try {
      return await queue.claim(places)
    } catch (error) {
      events.emit('stuck', { what: 'claim', error })
      await clock.sleep(INBOX_PAUSE, signal)
      return []
    }
  }

  /** Looked at before jobs are claimed, since finding out by a job's failure wastes a fetch. */
  async function storeIsFine(): Promise<boolean> {
    if (clock.monotonic() - checkedAt < CHECK_EVERY) return true
    const trouble = await storeTrouble()
    if (trouble?.trouble === 'busy') return true
    if (trouble) gate.close(trouble.trouble, { code: trouble.trouble, message: scrub(trouble.message) }, probeStore)
    else checkedAt = clock.monotonic()
    return trouble === null
  }

  async function storeTrouble(): Promise<ResultsUnavailable | null> {
    try {
      await results.check(stopping.signal)
      return null
    } catch (error) {
      if (error instanceof ResultsUnavailable) return error
      return new ResultsUnavailable('results', (error as Error).message)
    }
  }

  const probeStore: Probe = async () => ((await storeTrouble()) ? 'still' : 'gone')
  const probeKey: Probe = async (signal) => ((await deps.probeAccount(signal)) === true ? 'gone' : 'still')
  /** Nothing but a job that Reducto knows shows that the account is the right one. */
  const probeJobs: Probe = async () => (foundAny ? 'gone' : 'trial')

  function start(claim: Claim, trial: boolean): void {
    // A fetch that ended while the claim was made may have taken the place: then this result is put back.
    const hasPlace = deps.handsOver && busy.hand_over < deps.concurrency
    let place: Stage = hasPlace ? claim.standing.stage : 'fetch'
    busy[place]++
    const enterHandOver = () => {
      if (place === 'hand_over') return true
      if (busy.hand_over >= deps.concurrency) return false
      busy.fetch--
      busy.hand_over++
      place = 'hand_over'
      freed.abort()
      return true
    }
    const run = { signal: interrupting.signal, enterHandOver }
    const done: Promise<void> = attempt(claim, run, trial).finally(() => {
      running.delete(done)
      busy[place]--
      freed.abort()
    })
    running.add(done)
  }

  async function attempt(claim: Claim, run: Run, trial: boolean): Promise<void> {
    const startedAt = clock.now()
    const began = clock.monotonic()
    events.emit('started', { jobId: claim.jobId, attempt: claim.standing.tries + 1 })
    const attempted = await deps.run(claim, run)
    const { stage, record } = attempted
    const outcome = judge(claim, attempted, trial)
    const ms = clock.monotonic() - began
    const at = { now: clock.now(), working: working.read() }
    const standing = atStage(claim.standing, stage, at, deps.patience)
    const next = afterAttempt(standing, outcome, at, random)
    const kept = await settle(claim, () =>
      queue.settle(claim, next, {
        startedAt,
        ms,
        stage,
        outcome: outcome.is,
        reason: 'reason' in outcome ? outcome.reason : null,
        recorded: record?.status ?? null,
        type: record?.type ?? null,
      }),
    )
    if (kept === null) return
    if (!kept) return void events.emit('fenced', { jobId: claim.jobId })
    const { calls, files, bytes } = attempted
    const { state, dueAt } = next
    const attemptNumber = standing.tries + 1
    events.emit('settled', {
      jobId: claim.jobId,
      stage,
      outcome,
      state,
      attempt: attemptNumber,
      dueAt,
      ms,
      calls,
      files,
      bytes,
    })
  }

  /** What the attempt tells about everything but the job is acted upon; what remains is the job's outcome. */
  function judge(claim: Claim, attempted: Attempted, trial: boolean): Outcome {
    const { trouble } = attempted
    const outcome = scrubbed(attempted.outcome)
    if (trouble?.is === 'slow') gate.slow(trouble.after)
    else if (trouble?.is === 'pause')
      gate.close(
        trouble.cause,
        { ...trouble.reason, message: scrub(trouble.reason.message) },
        trouble.cause === 'reducto_auth' ? probeKey : probeStore,
      )
    if (attempted.stage === 'hand_over' && outcome.is !== 'interrupted' && outcome.is !== 'saved')
      handlerFailures = outcome.is === 'retry' ? handlerFailures + 1 : 0
    if (attempted.known) {
      foundAny = true
      unknown.clear()
      gate.fast()
      if (trial) gate.open()
    }
    if (outcome.is !== 'gone' || outcome.reason.code !== 'unknown_job' || foundAny) return outcome
    unknown.add(claim.jobId)
    if (unknown.size < UNKNOWN_IN_A_ROW) return outcome
    const reason: Reason = {
      code: 'reducto_auth',
      message: `Reducto knows none of ${unknown.size} jobs: are REDUCTO_API_KEY and REDUCTO_ENVIRONMENT those of the account that submits them?`,
    }
    gate.close('reducto_auth', reason, probeJobs)
    return { is: 'wait', reason, after: PROBE_EVERY }
  }

  function scrubbed(outcome: Outcome): Outcome {
    if (!('reason' in outcome)) return outcome
    return { ...outcome, reason: { ...outcome.reason, message: scrub(outcome.reason.message) } }
  }

  /** A settlement must not be lost: the job would stay running for ever. Null when the service ends before it lands. */
  async function settle(claim: Claim, write: () => Promise<boolean>): Promise<boolean | null> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        events.emit('stuck', { what: `settle ${claim.jobId}`, error })
        if (interrupting.signal.aborted) return null
        await clock.sleep(INBOX_PAUSE, interrupting.signal)
      }
    }
  }

  async function stop(grace: number): Promise<void> {
    stopping.abort()
    const graceOver = new AbortController()
    const timer = clock.sleep(grace, graceOver.signal).then(() => interrupting.abort())
    await looping
    // What does not end by itself is left behind, rather than the whole service being killed.
    const patience = new AbortController()
    await Promise.race([Promise.all(running), clock.sleep(grace + LAST_PATIENCE, patience.signal)])
    patience.abort()
    graceOver.abort()
    await timer
    working.hold('worker')
  }

  return {
    start() {
      if (looping || deps.concurrency === 0) return
      working.release('worker')
      looping = loop()
    },
    stop(grace) {
      stopped ??= stop(grace)
      return stopped
    },
    get pausedBy() {
      return gate.cause
    },
    get handlerFails() {
      return handlerFailures >= HANDLER_FAILURES
    },
  }
}

function once(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
