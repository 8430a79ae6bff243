import { type Clock, systemClock } from './clock.ts'
import { createDoctor } from './compose-doctor.ts'
import { createApp, createOperatorApp } from './http/app.ts'
import type { OperatorDeps } from './http/operator.ts'
import { type Listening, listen } from './http/server.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { Results } from './results/results.ts'
import { createRuntime } from './runtime.ts'
import type { Config } from './settings/config.ts'
import { createEvents, type EventBus } from './telemetry/events.ts'
import type { Log } from './telemetry/log.ts'
import { createScrub, type Scrub } from './telemetry/scrub.ts'

/** The running service. */
export type Service = {
  readonly port: number
  /** Where the operator's routes are, when they have a port of their own. */
  readonly adminPort: number | null
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

  const onFatal = options.onFatal ?? (() => {})
  const runtime = createRuntime({ config, log, events, clock, onFatal, doctor: createDoctor(config) })
  const operator = config.adminPort === null ? runtime.operator : null
  const app = createApp({ ...runtime, operator, events, trustProxy: config.trustProxy })
  const server = await listen(app, config.host, config.port, events)
  opening.defer(() => server.close(0))
  const admin = await listenForOperators(config, runtime.operator, events)
  opening.defer(() => admin?.close(0))
  const running = await runtime.start(signal)
  opening.move()

  const acceptFor = config.shutdownGrace / 4
  let stopped: Promise<void> | null = null
  return {
    port: server.port,
    adminPort: admin?.port ?? null,
    events,
    inbox: running.inbox,
    results: running.results,
    stop() {
      server.drain()
      stopped ??= running
        .stop({ acceptFor, close: () => server.close(acceptFor) })
        // A stop can be watched to its end.
        .finally(() => admin?.close(0))
      return stopped
    },
    interrupt: running.interrupt,
  }
}

/** Some scrapers and some people. */
const MAX_OPERATOR_CONNECTIONS = 128

async function listenForOperators(
  { host, adminPort, trustProxy }: Config,
  operator: OperatorDeps | null,
  events: EventBus,
): Promise<Listening | null> {
  if (adminPort === null || operator === null) return null
  const app = createOperatorApp({ operator, events, trustProxy })
  return listen(app, host, adminPort, events, { connections: MAX_OPERATOR_CONNECTIONS }, 'ADMIN_PORT')
}
