import { createHash } from 'node:crypto'
import { createScanThread } from './answer/scan-thread.ts'
import { type Clock, systemClock } from './clock.ts'
import { createDownloader } from './download/download.ts'
import { createEvents, type EventBus } from './events.ts'
import type { HandOver } from './handler/hand-over.ts'
import { createLinks, type Links } from './handler/links.ts'
import { HandlerUnusable } from './handler/module.ts'
import { type PreparedHandOver, prepareHandOver } from './handler/open.ts'
import { createApp } from './http/app.ts'
import type { DegradedDetail, Health } from './http/health.ts'
import { type Listening, listen } from './http/server.ts'
import type { Inbox, OperatorPause } from './inbox/inbox.ts'
import { openInbox } from './inbox/open.ts'
import type { Log } from './log.ts'
import { createOutboundFetch } from './outbound/fetch.ts'
import { createProxySettings, type ProxySettings } from './outbound/proxy.ts'
import { checkVerifier } from './receive/check-verifier.ts'
import { metadataOf } from './receive/metadata.ts'
import { createReceiver, type Receiver } from './receive/receive.ts'
import { type Client, createClient } from './reducto/client.ts'
import { createFetchJob } from './reducto/fetch-job.ts'
import { createListJobs } from './reducto/list-jobs.ts'
import { createProbeAccount } from './reducto/probe.ts'
import { openResults } from './results/open.ts'
import type { Results } from './results/results.ts'
import { createScrub, type Scrub } from './scrub.ts'
import { type Config, SettingsError } from './settings/config.ts'
import { createJudge } from './worker/judge.ts'
import { type Retention, startRetention } from './worker/retention.ts'
import { type FetchDeps, runFetch } from './worker/run-fetch.ts'
import { runHandOver } from './worker/run-hand-over.ts'
import { runSideFiles } from './worker/run-side-files.ts'
import { createSuspicion } from './worker/suspicion.ts'
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
  await using opening = new AsyncDisposableStack()

  let stage: 'starting' | 'inbox_locked' | 'ready' | 'draining' | 'inbox' = 'starting'
  let receiver: Receiver | null = null
  let worker: Worker | null = null
  let inbox: Inbox | null = null
  let retention: Retention | null = null
  let links: Links | null = null
  let results: Results | null = null
  const health: Health = () => ({
    notReady: stage !== 'ready' ? [stage] : inbox?.isFailing() ? ['inbox'] : [],
    ...(inbox?.isPaused() && worker?.operatorPause
      ? { details: { worker_paused: pauseDetail(worker.operatorPause) } }
      : {}),
    degraded: [
      ...(inbox?.isPaused() ? ['worker_paused' as const] : []),
      ...(worker?.degraded ?? []),
      ...(retention?.isWaitingForClock ? ['clock' as const] : []),
    ],
  })

  const scrub = scrubFor(config)
  const { handler, publicUrl, trustProxy } = config
  const app = createApp({
    receiver: () => receiver,
    health,
    events,
    trustProxy,
    ...(handler?.kind === 'forward'
      ? { saved: () => (results && links ? { results, links: () => links, now: clock.now } : null) }
      : {}),
  })
  const server = await listen(app, config.host, config.port, events)
  opening.defer(() => server.close(0))

  const proxies = proxiesOf(config)
  const outbound = createOutboundFetch(proxies)
  opening.defer(() => outbound.close())
  const prepared = await prepareHandler({ config, log, scrub, signal, fetch: outbound.fetch as typeof fetch })
  // The handler's code shares this process: what checks signatures must still refuse a forged one.
  checkVerifier()

  inbox = await openInbox(config.database, {
    clock,
    minFree: config.minFreeDisk,
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
  const opened = opening.adopt(inbox, (one) => one.close())
  const linkKey = await opened.linkKey()
  if (handler?.kind === 'forward') links = createLinks(publicUrl!, linkKey)
  const store = await openResults(config.results, {
    minFree: config.minFreeDisk,
    owner: ownerOf(linkKey),
    onWarning: (message) => log.warn(message),
  })
  results = store
  const handOver = prepared?.open({ results: store, links, now: clock.now }) ?? null
  if (handOver) opening.defer(() => handOver.close())

  const client = createClient({ ...config.reducto, fetch: outbound.fetch })
  const parts = { config, inbox: opened, results: store, clock, events, scrub, proxies, client, opening }
  worker = composeWorker({ ...parts, handOver: handOver?.handOver ?? null })
  const retaining = startRetention({
    inbox: opened,
    results: store,
    clock,
    log,
    retention: config.retention,
    resultsRetention: config.resultsRetention,
  })
  retention = retaining
  opening.defer(() => retaining.stop())

  receiver = createReceiver({ endpoints: config.endpoints, directToken: config.directToken, inbox, clock, events })
  stage = 'ready'
  worker.start()
  const closing = opening.move()
  const stop = memoized(() => shutDown(server, worker!))
  return { port: server.port, events, inbox: opened, results: store, stop, interrupt: () => opened.stopAsked() }

  async function shutDown(listening: Listening, running: Worker): Promise<void> {
    stage = 'draining'
    const grace = config.shutdownGrace
    const accepting = grace / 4
    listening.drain()
    // Written when it is asked for: whatever ends the process from now on is no crash.
    const noted = opened.stopAsked().catch((error) => void events.emit('failing', { what: 'record the stop', error }))
    const settled = Promise.all([running.stop(grace - accepting), retaining.stop(), noted])
    async function inOrder(): Promise<void> {
      // Balancers take a moment to see that this service is unready: what they still send is taken.
      await clock.sleep(accepting, new AbortController().signal)
      await listening.close(accepting)
      receiver = null
      await settled
      await closing.disposeAsync()
    }
    const longest = Math.max(grace, MIN_STOP_MS)
    if (!(await withinMs(longest, inOrder())))
      log.warn({ ms: longest }, 'stopped before everything was closed: something hangs')
  }
}

function pauseDetail({ since, reason }: OperatorPause): DegradedDetail {
  const message = `paused by an operator${reason === null ? '' : ` (${reason})`}: nothing is fetched or handed over until it is resumed`
  return { message, since: new Date(since).toISOString() }
}

/** A stop may take so long even without a grace, ms: what is open is closed. */
const MIN_STOP_MS = 2_000

/** Whether it ended within this time: a disk, a bucket or a database that hangs must not outlive the grace. */
async function withinMs(ms: number, work: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(late.resolve, ms, false)
  try {
    return await Promise.race([work.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Whose drafts are whose, for services that share a folder of results: by the inbox, and nothing that tells its key. */
function ownerOf(linkKey: Buffer): string {
  return createHash('sha256').update('owner of drafts').update(linkKey).digest('hex').slice(0, 16)
}

function proxiesOf({ proxy }: Config): ProxySettings {
  return createProxySettings({ httpsProxy: proxy.https, httpProxy: proxy.http, noProxy: proxy.no })
}

type HandlerParts = {
  readonly config: Config
  readonly log: Log
  readonly scrub: Scrub
  readonly signal: AbortSignal
  readonly fetch: typeof globalThis.fetch
}

/** What is wrong with the user's code is a wrong setting, and is told before a database is touched. */
async function prepareHandler({ config, ...parts }: HandlerParts): Promise<PreparedHandOver | null> {
  if (config.handler === null) return null
  return prepareHandOver(config.handler, { ...parts, timeout: config.handlerTimeout }).catch((error) => {
    throw error instanceof HandlerUnusable ? new SettingsError([`HANDLER: ${error.message}`]) : error
  })
}

type WorkerParts = {
  readonly config: Config
  readonly inbox: Inbox
  readonly results: Results
  readonly handOver: HandOver | null
  readonly clock: Clock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly proxies: ProxySettings
  readonly client: Client
  readonly opening: AsyncDisposableStack
}

function composeWorker(parts: WorkerParts): Worker {
  const { config, inbox, results, handOver, clock, events, scrub, client, opening } = parts
  const scanner = createScanThread()
  opening.defer(() => scanner.close())
  const downloader = createDownloader({ allowPrivateHosts: config.allowPrivateHosts, proxies: parts.proxies, clock })
  opening.defer(() => downloader.close())
  const probeAccount = createProbeAccount(client, clock.now)
  const suspicion = createSuspicion({
    listJobs: createListJobs(client, clock.now),
    isOurs: async (jobId) => (await inbox.get(jobId)) !== null,
  })
  const fetching: FetchDeps = {
    fetchJob: createFetchJob(client, clock.now),
    probeAccount,
    download: downloader.download,
    scan: scanner.scan,
    results,
    lost: inbox.lost,
    metadataOf,
    maxBytes: config.maxResultBytes,
    clock,
    scrub,
  }
  return createWorker({
    queue: inbox,
    judge: createJudge({ results, queue: inbox, probeAccount, suspicion, clock, events, scrub }),
    runFetch: (claim, signal) => runFetch(claim, signal, fetching),
    runHandOver: (claim, signal) => runHandOver(claim, signal, { results, handOver }),
    runSideFiles: (claim, signal) => runSideFiles(claim, signal, fetching),
    removeAbandonedDrafts: (signal) =>
      results.removeAbandonedDrafts(async ({ jobId, token }) => {
        const claims = (['fetch', 'side_files'] as const).map((task) => ({ jobId, task, token }))
        return (await inbox.lost(claims)).length === claims.length
      }, signal),
    concurrency: config.concurrency,
    hasHandler: handOver !== null,
    patience: { fetch: config.fetchRetryFor, hand_over: config.handlerRetryFor, side_files: config.fetchRetryFor },
    clock,
    events,
    scrub,
  })
}

function memoized<T>(run: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | null = null
  return () => {
    result ??= run()
    return result
  }
}
