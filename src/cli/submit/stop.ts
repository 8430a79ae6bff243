import { onReaderLeft } from '../broken-pipe.ts'
import { onStopSignals } from '../signals.ts'

/**
 * Ends a run early without losing a job: after the first signal, or when nobody reads the output any more, nothing more is
 * submitted, and what is under way has its answer awaited. A second signal ends the
 * process, after `atOnce`.
 */
export type Stop = {
  /** Why no more is submitted; null to go on. */
  readonly reason: string | null
  /** Aborts with the first signal: for what makes no job, such as an upload. */
  readonly signal: AbortSignal
  /** No more is submitted from now on. */
  now(reason: string): void
}

export function createStop(onFirst: () => void, atOnce: () => void): Stop {
  const stopping = new AbortController()
  let reason: string | null = null
  function stop(why: string): void {
    reason ??= why
    stopping.abort()
  }
  onReaderLeft(() => stop('nobody reads the output any more'))
  onStopSignals(
    (signal) => {
      stop(`stopped by ${signal}`)
      onFirst()
    },
    () => {
      atOnce()
      // As it would have ended without a listener.
      process.removeAllListeners('SIGINT')
      process.kill(process.pid, 'SIGINT')
    },
  )
  return {
    get reason() {
      return reason
    },
    signal: stopping.signal,
    now: stop,
  }
}
