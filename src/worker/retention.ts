import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { Log } from '../log.ts'
import type { Results } from '../results/results.ts'

/** How often what is past its retention is looked for, ms; soon after a start, for services that restart often. */
export const PRUNE_EVERY_MS = 3_600_000
export const FIRST_PRUNE_MS = 60_000
/** How far the wall clock may have moved otherwise than the monotonic one since the last look, ms. */
const MAX_CLOCK_DRIFT_MS = 60_000

export type RetentionDeps = {
  readonly inbox: Pick<Ledger, 'prune' | 'get'>
  readonly results: Pick<Results, 'expire'>
  readonly clock: Clock
  readonly log: Log
  /** Of deliveries and done jobs, ms since their last activity. */
  readonly retention: number
  /** Of results, ms since they were saved; null keeps them for ever. */
  readonly resultsRetention: number | null
}

export type Retention = {
  /** The wall clock has jumped: nothing is deleted until it agrees with the monotonic one again. */
  readonly isWaitingForClock: boolean
  stop(): Promise<void>
}

/** Deletes what is past its retention, once an hour. */
export function startRetention(deps: RetentionDeps): Retention {
  const { clock, log } = deps
  const stopping = new AbortController()
  let isWaitingForClock = false
  let offset = clock.now() - clock.monotonic()

  /** A clock that jumped ahead would make everything look old. When two looks agree again, it is believed. */
  function clockHasJumped(): boolean {
    const now = clock.now() - clock.monotonic()
    const jumped = Math.abs(now - offset)
    offset = now
    isWaitingForClock = jumped > MAX_CLOCK_DRIFT_MS
    if (isWaitingForClock)
      log.error(
        { jumped_ms: Math.round(jumped) },
        'the wall clock has jumped: nothing is deleted before the next look, in an hour; check the time of this machine',
      )
    return isWaitingForClock
  }

  async function prune(): Promise<void> {
    if (clockHasJumped()) return
    const { signal } = stopping
    const rows = await deps.inbox.prune(clock.now() - deps.retention, signal)
    const before = deps.resultsRetention === null ? null : clock.now() - deps.resultsRetention
    const results = before === null ? 0 : await deps.results.expire({ before, keep: isNeeded, signal })
    if (rows + results > 0) log.info({ rows, results }, 'deleted what was past its retention')
  }

  /** One that is still to be handed over, however long that takes. */
  async function isNeeded(jobId: string): Promise<boolean> {
    const job = await deps.inbox.get(jobId)
    return job !== null && job.state !== 'done'
  }

  async function loop(): Promise<void> {
    for (let pause = FIRST_PRUNE_MS; !stopping.signal.aborted; pause = PRUNE_EVERY_MS) {
      await clock.sleep(pause, stopping.signal)
      if (stopping.signal.aborted) return
      await prune().catch((error) => log.error({ err: error }, 'retention could not be applied, trying again later'))
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
