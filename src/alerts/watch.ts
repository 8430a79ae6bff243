import type { Clock } from '../clock.ts'
import type { CleanReason } from '../job.ts'
import { NO_REASON } from '../signals.ts'
import type { EventBus, Events } from '../telemetry/events.ts'
import { type Alert, type DeadGroup, deadAlert, withJob } from './alert.ts'

/** How long dead jobs of one cause are gathered after the first one was told, ms. */
export const GATHER_MS = 600_000
/** How often the watch looks at what has no event, ms. */
export const LOOK_EVERY_MS = 5_000
/** Causes that are gathered at once; beyond them dead jobs are told one by one. */
const MAX_CAUSES = 100

export type AlertDeps = {
  readonly events: EventBus
  readonly clock: Clock
  /** Whether deliveries cannot be recorded now. */
  readonly isRefusing: () => boolean
  readonly add: (alert: Alert) => void
}

/** `gathered`: dead jobs of the cause since the last alert about it. */
type Cause = { toldAt: number; gathered: DeadGroup | undefined }

/**
 * Turns events into alerts: a cause's first dead job at once, those that follow within ten minutes together; the
 * beginning and the end of each degradation; and deliveries that cannot be recorded. Call `stop` to end it: what is
 * gathered is told then.
 */
export function watchForAlerts({ events, clock, isRefusing, add }: AlertDeps): { stop(): void } {
  const stopping = new AbortController()
  const causes = new Map<string, Cause>()
  let refusing = false

  function onSettled({ jobId, state, outcome }: Events['settled'][0]): void {
    if (state === 'dead' && 'reason' in outcome && outcome.reason) onDead(jobId, outcome.reason)
  }

  function onDead(jobId: string, reason: CleanReason): void {
    const cause = causes.get(reason.code)
    if (cause) cause.gathered = withJob(cause.gathered, jobId, reason)
    else {
      if (causes.size < MAX_CAUSES) causes.set(reason.code, { toldAt: clock.monotonic(), gathered: undefined })
      add(deadAlert(withJob(undefined, jobId, reason)))
    }
  }

  function tellGathered(isDue: (cause: Cause) => boolean): void {
    for (const [code, cause] of causes) {
      if (!isDue(cause)) continue
      if (cause.gathered) add(deadAlert(cause.gathered))
      if (cause.gathered) causes.set(code, { toldAt: clock.monotonic(), gathered: undefined })
      else causes.delete(code)
    }
  }

  function onDegraded({ name, message, since, repeated }: Events['degraded'][0]): void {
    if (!repeated) add({ type: 'degraded', data: { name, message, since: new Date(since).toISOString() } })
  }

  function onRecovered({ name, ms }: Events['recovered'][0]): void {
    add({ type: 'recovered', data: { name, seconds: Math.round(ms / 1000) } })
  }

  function look(): void {
    tellGathered(({ toldAt }) => clock.monotonic() - toldAt >= GATHER_MS)
    if (refusing === isRefusing()) return
    refusing = !refusing
    add({ type: refusing ? 'not_accepting' : 'accepting', data: {} })
  }

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      look()
      await clock.sleep(LOOK_EVERY_MS, stopping.signal)
    }
  }

  events.on('settled', onSettled)
  events.on('degraded', onDegraded)
  events.on('recovered', onRecovered)
  void watch()
  return {
    stop() {
      stopping.abort(NO_REASON)
      events.off('settled', onSettled)
      events.off('degraded', onDegraded)
      events.off('recovered', onRecovered)
      tellGathered(() => true)
    },
  }
}
