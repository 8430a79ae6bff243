import { backoff, MAX_DELAY_MS } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import type { CleanReason } from '../job.ts'
import type { EventBus, PauseCause } from '../telemetry/events.ts'

/** How often a pause checks whether its cause is gone, ms. */
export const PROBE_EVERY_MS = 30_000

/** Whether the cause of a pause is gone. `trial` lets the worker try some jobs to find out. */
export type Probe = (signal: AbortSignal) => Promise<'gone' | 'still' | 'trial'>

/**
 * Stands between a stage and its jobs while a shared failure lasts: a refused key, a full disk, a rate limit. While the
 * gate is closed nothing is claimed, so that no job spends patience.
 */
export type Gate = {
  /** Why it is closed; null while it is open. */
  readonly cause: PauseCause | null
  /** The same, for people to read. */
  readonly reason: CleanReason | null
  /** Jobs may be claimed now: neither closed nor slowed. */
  readonly isOpen: boolean
  /** Stops claims until `probe` says that the cause is gone. Does nothing if the gate is already closed. */
  close(cause: PauseCause, reason: CleanReason, probe: Probe): void
  /** Opens the gate at once: the cause is known to be gone. */
  open(): void
  /** Stops claims for `after` ms, or for a backoff that grows with every consecutive limited call. */
  rateLimited(after: number | undefined): void
  /** A call succeeded: the next backoff starts from the beginning. */
  callSucceeded(): void
  /** Resolves when jobs may be claimed, or when `signal` aborts. */
  waitUntilOpen(signal: AbortSignal): Promise<'open' | 'trial'>
}

export function createGate(deps: { clock: Clock; events: EventBus; random: () => number }): Gate {
  const { clock, events, random } = deps
  let closed: { cause: PauseCause; reason: CleanReason; probe: Probe; since: number } | null = null
  let slowUntil = Number.NEGATIVE_INFINITY
  let slowings = 0

  function open(): void {
    if (!closed) return
    const { cause, since } = closed
    closed = null
    events.emit('resumed', { cause, ms: clock.monotonic() - since })
  }

  return {
    get cause() {
      return closed?.cause ?? null
    },
    get reason() {
      return closed?.reason ?? null
    },
    get isOpen() {
      return closed === null && clock.monotonic() >= slowUntil
    },
    close(cause, reason, probe) {
      if (closed) return
      closed = { cause, reason, probe, since: clock.monotonic() }
      events.emit('paused', { cause, reason })
    },
    open,
    rateLimited(after) {
      // Concurrent 429s count as one signal, not as consecutive ones.
      if (after === undefined && clock.monotonic() < slowUntil) return
      const ms = Math.min(after ?? backoff(slowings, random), MAX_DELAY_MS)
      slowings++
      const until = clock.monotonic() + ms
      if (until <= slowUntil) return
      slowUntil = until
      events.emit('slowed', { ms })
    },
    callSucceeded() {
      slowings = 0
    },
    async waitUntilOpen(signal) {
      while (!signal.aborted) {
        if (closed) {
          await clock.sleep(PROBE_EVERY_MS, signal)
          const probed = closed
          if (signal.aborted || !probed) continue
          const found = await probed.probe(signal)
          // The gate may have been opened meanwhile, or closed for another cause, which this probe does not check.
          if (closed !== probed) continue
          if (found === 'trial') return 'trial'
          if (found === 'gone') open()
          continue
        }
        const wait = slowUntil - clock.monotonic()
        if (wait <= 0) return 'open'
        await clock.sleep(wait, signal)
      }
      return 'open'
    },
  }
}
