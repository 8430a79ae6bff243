import { type Clock, systemClock } from './clock.ts'
import { createEvents, type EventBus } from './events.ts'
import { createApp } from './http/app.ts'
import { listen } from './http/server.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { Log } from './log.ts'
import type { Results } from './results/results.ts'
import { createRuntime } from './runtime.ts'
import { createScrub, type Scrub } from './scrub.ts'
import type { Config } from './settings/config.ts'

/** The running service. */
export type Service = {
  readonly port: number
  readonly events: EventBus
  readonly inbox: Inbox
  readonly results: Results
  /**
   * Stops within SHUTDOWN_GRACE: it is unready at once, accepts deliveries for a quarter of the grace, and gives
   * running jobs the rest. Unfinished jobs stay queued. May be called twice.
   */
  stop(): Promise<void>
  /**
   * Records that running jobs are interrupted, not crashed, for a process that exits at once. May be called during a
   * stop.
   */
  interrupt(): Promise<void>
}

export type ComposeOptions = {
  readonly config: Config
  readonly log: Log
  readonly events?: EventBus
  readonly clock?: Clock
  /** Aborts a start that is still running. */
  readonly signal?: AbortSignal
  /** A part that the service needs has died. */
  readonly onFatal?: (error: Error) => void
}

/** The scrubber for the configured secrets. */
export function scrubFor(config: Pick<Config, 'secrets'>): Scrub {
  return createScrub(config.secrets)
}

/**
 * The library with a server of its own. Listens first, and answers webhooks with 503 until they can be recorded. A
 * start that fails midway closes what it opened in reverse order.
 */
export async function startService(options: ComposeOptions): Promise<Service> {
  const { config, log } = options
  const clock = options.clock ?? systemClock
  const events = options.events ?? createEvents()
  const signal = options.signal ?? new AbortController().signal
  await using opening = new AsyncDisposableStack()

  const runtime = createRuntime({ config, log, events, clock, onFatal: options.onFatal ?? (() => {}) })
  const app = createApp({ ...runtime, events, trustProxy: config.trustProxy })
  const server = await listen(app, config.host, config.port, events)
  opening.defer(() => server.close(0))
  const running = await runtime.start(signal)
  opening.move()

  const acceptFor = config.shutdownGrace / 4
  return {
    port: server.port,
    events,
    inbox: running.inbox,
    results: running.results,
    stop() {
      server.drain()
      return running.stop({ acceptFor, close: () => server.close(acceptFor) })
    },
    interrupt: running.interrupt,
  }
}
