import type { Clock } from '../clock.ts'
import type { Fleet } from '../inbox/fleet.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { Results } from '../results/results.ts'
import { linkSignals } from '../signals.ts'
import type { Log } from '../telemetry/log.ts'

/** How often expired data is looked for, ms; the first time is soon after a start, for services that restart often. */
export const PRUNE_EVERY_MS = 3_600_000
export const FIRST_PRUNE_MS = 60_000
/** How far the wall clock may drift from the monotonic one between two runs, ms. */
const MAX_CLOCK_DRIFT_MS = 60_000

export type RetentionDeps = {
  readonly inbox: Pick<Ledger, 'prune' | 'pruneBodies' | 'get'> & Pick<Fleet, 'exclusively'>
  readonly results: Pick<Results, 'expire'>
  readonly clock: Clock
  readonly log: Log
  /** Retention of deliveries and done jobs, ms since their last activity. */
  readonly retention: number
  /** Retention of bodies and of the texts of attempts, at most the same, ms. */
  readonly bodyRetention: number
  /** Retention of results, ms since they were saved; null keeps them for ever. */
  readonly resultsRetention: number | null
}

export type Retention = {
  /** The wall clock has jumped: nothing is deleted until it agrees with the monotonic one again. */
  readonly isWaitingForClock: boolean
  stop(): Promise<void>
}

/** Deletes what is past its retention once an hour. */
export function startRetention(deps: RetentionDeps): Retention {
  const { clock, log } = deps
  const stopping = new AbortController()
  let isWaitingForClock = false
  let offset = clock.now() - clock.monotonic()

  /**
   * A clock that jumped ahead would make everything look expired. It is trusted again when two consecutive runs agree.
   */
  function clockHasJumped(): boolean {
    const now = clock.now() - clock.monotonic()
    const jumped = Math.abs(now - offset)
    offset = now
    isWaitingForClock = jumped > MAX_CLOCK_DRIFT_MS
    if (isWaitingForClock)
      log.error(
        { jumped_ms: Math.round(jumped) },
        'the wall clock has jumped: nothing is deleted before the next run, in an hour; check the time of this machine',
      )
    return isWaitingForClock
  }

  async function prune(): Promise<void> {
    if (clockHasJumped()) return
    // One of several services does it: the rows, and the folder that they share.
    await deps.inbox.exclusively('retention', pruneAll)
  }

  async function pruneAll(lost: AbortSignal): Promise<void> {
    using linked = linkSignals(stopping.signal, lost)
    const { signal } = linked
    const rows = await deps.inbox.prune(clock.now() - deps.retention, signal)
    const bodies = await pruneBodies(signal)
    const before = deps.resultsRetention === null ? null : clock.now() - deps.resultsRetention
    const results = before === null ? 0 : await deps.results.expire({ before, keep: isNeeded, signal })
    if (rows + bodies + results > 0) log.info({ rows, bodies, results }, 'deleted what was past its retention')
  }

  /** With the same retention they go with their rows. */
  async function pruneBodies(signal: AbortSignal): Promise<number> {
    if (deps.bodyRetention >= deps.retention) return 0
    return deps.inbox.pruneBodies(clock.now() - deps.bodyRetention, signal)
  }

  /** A result that is still to be handed over is kept, however long that takes. */
  async function isNeeded(jobId: string): Promise<boolean> {
    const job = await deps.inbox.get(jobId)
    return job !== null && job.state !== 'done'
  }

  async function loop(): Promise<void> {
    for (let pause = FIRST_PRUNE_MS; !stopping.signal.aborted; pause = PRUNE_EVERY_MS) {
      await clock.sleep(pause, stopping.signal)
      if (stopping.signal.aborted) return
      await prune().catch((error) => log.error({ err: error }, 'retention failed, retrying later'))
    }
  }

  const looping = loop()
  return {
    get isWaitingForClock() {
      return isWaitingForClock
    },
    async stop() {
      stopping.abort()
      await looping
    },
  }
}
