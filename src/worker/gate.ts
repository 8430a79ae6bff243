import type { Clock, WorkingClock } from '../clock.ts'
import type { EventBus, PauseCause } from '../events.ts'
import { BACKOFF, backoff, type Reason } from '../job.ts'

/** How often a pause looks whether its cause is gone, ms. */
export const PROBE_EVERY = 30_000

/** Whether the cause of a pause is gone. `trial` lets the worker try some jobs to find out. */
export type Probe = (signal: AbortSignal) => Promise<'gone' | 'still' | 'trial'>

export type Gate = {
  /** Why it is closed; null while it is open. */
  readonly cause: PauseCause | null
  /** Stops claims until `probe` says that the cause is gone. Does nothing while it is closed already. */
  close(cause: PauseCause, reason: Reason, probe: Probe): void
  /** The cause is known to be gone. */
  open(): void
  /** No claims for `after` ms, or for a backoff that grows with every call in a row. */
  slow(after: number | undefined): void
  /** A call went through: the next slowing begins anew. */
  fast(): void
  /** Resolves when jobs may be claimed, or when `signal` aborts. True: as a trial only. */
  pass(signal: AbortSignal): Promise<boolean>
}

/**
 * What stands between the worker and its jobs when something is wrong that is no job's fault: a refused key, a full
 * disk, a limit on calls. While it is closed the working clock stands still, so that no job loses patience.
 */
export function createGate(deps: {
  clock: Clock
  working: WorkingClock
  events: EventBus
  random: () => number
}): Gate {
  const { clock, working, events, random } = deps
  let closed: { cause: PauseCause; probe: Probe; since: number } | null = null
  let slowUntil = Number.NEGATIVE_INFINITY
  let slowings = 0

  function open(): void {
    if (!closed) return
    const { cause, since } = closed
    closed = null
    working.release('gate')
    events.emit('resumed', { cause, ms: clock.monotonic() - since })
  }

  return {
    get cause() {
      return closed?.cause ?? null
    },
    close(cause, reason, probe) {
      if (closed) return
      closed = { cause, probe, since: clock.monotonic() }
      working.hold('gate')
      events.emit('paused', { cause, reason })
    },
    open,
    slow(after) {
      // Calls that were under way together are one sign, not many in a row.
      if (after === undefined && clock.monotonic() < slowUntil) return
      const ms = Math.min(after ?? backoff(slowings, random), BACKOFF.longest)
      slowings++
      const until = clock.monotonic() + ms
      if (until <= slowUntil) return
      slowUntil = until
      events.emit('slowed', { ms })
    },
    fast() {
      slowings = 0
    },
    async pass(signal) {
      while (!signal.aborted) {
        if (closed) {
          await clock.sleep(PROBE_EVERY, signal)
          if (signal.aborted || !closed) continue
          const found = await closed.probe(signal)
          if (found === 'trial') return true
          if (found === 'gone') open()
          continue
        }
        const wait = slowUntil - clock.monotonic()
        if (wait <= 0) return false
        await clock.sleep(wait, signal)
      }
      return false
    },
  }
}
