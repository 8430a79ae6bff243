import { createScanThread } from './answer/scan-thread.ts'
import { randomBytes } from 'node:crypto'
import { type Clock, createWorkingClock, systemClock, type WorkingClock } from './clock.ts'
import { type Config, SettingsError } from './config.ts'
import { createDownloader } from './download/download.ts'
import { createEvents, type EventBus } from './events.ts'
import type { HandOver } from './handler/hand-over.ts'
import { createLinks, type Links } from './handler/links.ts'
import { HandlerUnusable } from './handler/module.ts'
import { openHandOver } from './handler/open.ts'
import { createApp } from './http/app.ts'
import type { Degraded, NotReady } from './http/health.ts'
import { type Listening, listen } from './http/server.ts'
import type { Inbox } from './inbox/inbox.ts'
import { openInbox } from './inbox/open.ts'
import type { Log } from './log.ts'
import { createReceiver, type Receiver } from './receive/receive.ts'
import { createClient } from './reducto/client.ts'
import { createFetchJob } from './reducto/fetch-job.ts'
import { createProbeAccount } from './reducto/probe.ts'
import { openResults } from './results/open.ts'
import type { Results } from './results/results.ts'
import { createScrub, type Scrub } from './scrub.ts'
import { type Config, SettingsError } from './settings/config.ts'
import { createDownloadAgent } from './worker/addresses.ts'
import { createDownload, IDLE_TIMEOUT } from './worker/download.ts'
import { type RunJobDeps, runJob } from './worker/run-job.ts'
import { startSweeps } from './worker/sweep.ts'
import { createWorker, type Worker } from './worker/worker.ts'

/** The running service. */
export type Service = {
  readonly port: number
  readonly events: EventBus
  readonly inbox: Inbox
  readonly results: Results
  /**
   * Ends it within SHUTDOWN_GRACE: unready at once, deliveries accepted for a quarter of the grace, running jobs given
   * the rest. What is not done then stays queued. May be called twice.
   */
  stop(): Promise<void>
  /** Records that what runs is interrupted, not crashed, for a process that ends at once. May be called during a stop. */
  interrupt(): Promise<void>
}

export type ComposeOptions = {
  readonly config: Config
  readonly log: Log
  readonly events?: EventBus
  readonly clock?: Clock
  /** Ends a start that is still under way. */
  readonly signal?: AbortSignal
  /** Something without which the service cannot go on has died. */
  readonly onFatal?: (error: Error) => void
}

/** What must never leave the process. */
export function scrubFor(config: Pick<Config, 'secrets'>): Scrub {
  return createScrub(config.secrets)
}

/**
 * Wires the parts together and starts them; the only place that knows them all. Listens first, and answers webhooks
 * with 503 until they can be recorded. A start that fails half-way closes what it opened, the last first.
 */
export async function startService(options: ComposeOptions): Promise<Service> {
  const { config, log } = options
  const clock = options.clock ?? systemClock
  const events = options.events ?? createEvents()
  const signal = options.signal ?? new AbortController().signal
  const onFatal = options.onFatal ?? (() => {})
  const closers: (() => unknown)[] = []
  const closeAll = async () => {
    for (let closer = closers.pop(); closer; closer = closers.pop()) await closer()
  }

  let stage: 'starting' | 'inbox_locked' | 'ready' | 'draining' | 'inbox' = 'starting'
  let receiver: Receiver | null = null
  let worker: Worker | null = null
  let inbox: Inbox | null = null
  const working = createWorkingClock(clock, 'worker')
  const health = (): { notReady: NotReady[]; degraded: Degraded[] } => ({
    notReady: stage !== 'ready' ? [stage] : inbox?.isFailing() ? ['inbox'] : [],
    degraded: [
      ...(working.isHeld('operator') ? ['worker_paused' as const] : []),
      ...(worker?.pausedBy ? [worker.pausedBy] : []),
      ...(worker?.handlerFails ? ['handler' as const] : []),
    ],
  })

  try {
    const results = await openResults(config.results, { minFree: config.minFreeDisk })
    const { handler, publicUrl } = config
    const links = handler?.kind === 'forward' ? createLinks(publicUrl!, randomBytes(32)) : null
    const handOver = await openHandler({ config, results, links, clock, log, signal, closers })
    const app = createApp({
      receiver: () => receiver,
      health,
      events,
      ...(links ? { saved: () => ({ results, links, now: clock.now }) } : {}),
    })
    const server = await listen(app, config.host, config.port, events)
    closers.push(() => server.close(0))

    inbox = await openInbox(config.database, {
      retryFor: config.fetchRetryFor,
      clock,
      working,
      signal,
      onWait() {
        stage = 'inbox_locked'
        log.warn({ database: config.database.path }, 'another service holds the database; waiting for it to end')
      },
      onWarning: (message) => log.warn(message),
      onDeath(error) {
        stage = 'inbox'
        onFatal(error)
      },
    })
    const opened = inbox
    closers.push(() => opened.close())
    const scrub = scrubFor(config)
    worker = composeWorker({ config, inbox, results, handOver, clock, working, events, scrub, closers })
    const { retention, resultsRetention } = config
    const stopSweeps = startSweeps({ inbox, results, clock, log, retention, resultsRetention })
    closers.push(stopSweeps)

    receiver = createReceiver({ endpoints: config.endpoints, directToken: config.directToken, inbox, clock, events })
    stage = 'ready'
    worker.start()

    const stop = once(() => shutDown(server, worker!, stopSweeps, config.shutdownGrace))
    return { port: server.port, events, inbox, results, stop, interrupt: async () => {} }
  } catch (error) {
    await closeAll()
    throw error
  }

  async function shutDown(
    server: Listening,
    running: Worker,
    stopSweeps: () => Promise<void>,
    grace: number,
  ): Promise<void> {
    stage = 'draining'
    const accepting = grace / 4
    server.drain()
    const settled = Promise.all([running.stop(grace - accepting), stopSweeps()])
    // Balancers take a moment to see that this service is unready: what they still send is taken.
    await clock.sleep(accepting, new AbortController().signal)
    await server.close(accepting)
    receiver = null
    await settled
    await closeAll()
  }
}

type HandlerParts = {
  readonly config: Config
  readonly results: Results
  readonly links: Links | null
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly closers: (() => unknown)[]
}

/** The user's code is loaded before anything listens: what is wrong with it is a wrong setting. */
async function openHandler({
  config,
  results,
  links,
  clock,
  log,
  signal,
  closers,
}: HandlerParts): Promise<HandOver | null> {
  if (config.handler === null) return null
  const timeout = config.handlerTimeout
  const { handOver, close } = await openHandOver(config.handler, {
    results,
    links,
    timeout,
    now: clock.now,
    log,
    scrub: scrubFor(config),
    signal,
  }).catch((error) => {
    throw error instanceof HandlerUnusable ? new SettingsError([`HANDLER: ${error.message}`]) : error
  })
  closers.push(close)
  return handOver
}

type WorkerParts = {
  readonly config: Config
  readonly inbox: Inbox
  readonly results: Results
  readonly handOver: HandOver | null
  readonly clock: Clock
  readonly working: WorkingClock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly closers: (() => unknown)[]
}

function composeWorker(parts: WorkerParts): Worker {
  const { config, inbox, results, handOver, clock, working, events, scrub, closers } = parts
  const scanner = createScanThread()
  closers.push(() => scanner.close())
  const downloader = createDownloader({ allowPrivateHosts: config.allowPrivateHosts, clock })
  closers.push(() => downloader.close())
  const client = createClient(config.reducto)
  const probeAccount = createProbeAccount(client, clock.now)
  const deps: RunJobDeps = {
    fetchJob: createFetchJob(client, clock.now),
    probeAccount,
    results,
    handOver,
    download: downloader.download,
    scan: scanner.scan,
    maxBytes: config.maxResultBytes,
    scrub,
    holds: async (claim) => (await inbox.extend([claim])).length === 0,
    clock,
  }
  return createWorker({
    queue: inbox,
    run: (claim, run) => runJob(claim, run, deps),
    results,
    probeAccount,
    concurrency: config.concurrency,
    handsOver: handOver !== null,
    patience: { fetch: config.fetchRetryFor, hand_over: config.handlerRetryFor },
    clock,
    working,
    events,
    scrub,
  })
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | null = null
  return () => {
    result ??= run()
    return result
  }
}
