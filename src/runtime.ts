import { createHash } from 'node:crypto'
import { startAlerts } from './alerts/open.ts'
import { createWalkThread } from './answer/walk-thread.ts'
import type { Clock } from './clock.ts'
import { watchFleet } from './compose-fleet.ts'
import { inboxOptions } from './compose-inbox.ts'
import { composeMetrics } from './compose-metrics.ts'
import { composeApi } from './compose-operator.ts'
import { composePages } from './compose-pages.ts'
import { composeReconcile } from './compose-reconcile.ts'
import { troublesOf } from './compose-troubles.ts'
import { composeUpkeep, createAtRisk } from './compose-upkeep.ts'
import { composeWorker } from './compose-worker.ts'
import { createLinks, type Links } from './handler/links.ts'
import { HandlerUnusable } from './handler/module.ts'
import { type HandlerChoice, type PrepareDeps, type PreparedHandOver, prepareHandOver } from './handler/open.ts'
import { type BodyReader, createBodyReader } from './http/body.ts'
import type { OperatorDeps } from './http/operator.ts'
import type { SavedFilesDeps } from './http/saved-files.ts'
import type { Inbox, Ledger } from './inbox/inbox.ts'
import { openInbox } from './inbox/open.ts'
import { createPreviews, type Previews } from './operator/preview/previews.ts'
import { createOutboundFetch, type Fetch } from './outbound/fetch.ts'
import { createProxySettings, type ProxySettings } from './outbound/proxy.ts'
import { createProver, type Prover } from './proof.ts'
import { checkVerifier } from './receive/check-verifier.ts'
import { createReceiver, type Receiver } from './receive/receive.ts'
import { createClient } from './reducto/client.ts'
import { openResults } from './results/open.ts'
import type { Results } from './results/results.ts'
import { type Config, SettingsError } from './settings/config.ts'
import { withinMs } from './signals.ts'
import { type Degradation, type Degradations, watchDegradations } from './telemetry/degradations.ts'
import type { EventBus, NotReady } from './telemetry/events.ts'
import type { Log } from './telemetry/log.ts'
import { createScrub } from './telemetry/scrub.ts'
import { watchPayloads } from './telemetry/unexpected.ts'
import type { Retention } from './worker/retention.ts'
import type { Worker } from './worker/worker.ts'

/** The settings of inbox, results and worker: all except those of a server and of a process. */
type RuntimeConfig = Omit<Config, 'host' | 'port' | 'adminPort' | 'trustProxy' | 'logLevel' | 'handler'> & {
  readonly handler: HandlerChoice | null
}

type RuntimeOptions = {
  readonly config: RuntimeConfig
  readonly log: Log
  readonly events: EventBus
  readonly clock: Clock
  /** A part that the runtime needs has died. */
  readonly onFatal: (error: Error) => void
}

/** Everything except the server: inbox, worker, results. It can be started again after a stop. */
type Runtime = {
  /** Null before and after the time in which deliveries can be recorded. */
  receiver(): Receiver | null
  health(): { readonly notReady: readonly NotReady[]; readonly degraded: readonly Degradation[] }
  /** The saved files behind the links of forwarded records; without forwards there are none. */
  readonly saved: (() => SavedFilesDeps | null) | null
  readonly bodies: BodyReader
  /** What operators and libraries ask and tell the inbox; null while it is not open. */
  ledger(): Ledger | null
  /** Proves that an answer is this service's; null while the inbox is not open. */
  prover(): Prover | null
  /** For the operator's routes; null when there are none. */
  readonly operator: OperatorDeps | null
  /** A start that fails midway closes what it opened in reverse order. `signal` aborts a running start. */
  start(signal: AbortSignal): Promise<Running>
}

type Running = {
  readonly inbox: Inbox
  readonly results: Results
  /**
   * Stops within SHUTDOWN_GRACE: it is unready at once, and running jobs get the grace; unfinished jobs stay queued.
   * May be called twice.
   */
  stop(doors?: Doors): Promise<void>
  /**
   * Records that running jobs are interrupted, not crashed, for a process that exits at once. May be called during a
   * stop.
   */
  interrupt(): Promise<void>
}

/** How deliveries arrive, for a stop that accepts them for a moment longer. */
type Doors = {
  /** From the start of the stop until `close` is called, ms. */
  readonly acceptFor: number
  close(): Promise<void>
}

const CLOSED: Doors = { acceptFor: 0, close: async () => {} }

/** Minimum time for a stop, even without a grace, ms: everything open must be closed. */
const MIN_STOP_MS = 2_000

/** The parts that were opened. */
type Opened = {
  readonly inbox: Inbox
  readonly results: Results
  readonly links: Links | null
  readonly prover: Prover
  readonly worker: Worker
  readonly retention: Retention
  readonly degradations: Degradations
  readonly previews: Previews
}

/** Wires the parts together; creates and opens nothing before it is started. */
export function createRuntime({ config, log, events, clock: machine, onFatal }: RuntimeOptions): Runtime {
  const { handler } = config
  const scrub = createScrub(config.secrets)
  let stage: NotReady | 'ready' = 'starting'
  let receiver: Receiver | null = null
  let opened: Opened | null = null
  const unexpectedPayloads = watchPayloads(events)
  const bodies = createBodyReader()
  const atRisk = createAtRisk(() => opened?.inbox ?? null, machine)
  const live = { config, clock: machine, events, health, opened: () => opened }
  const metrics = () => composeMetrics({ ...live, bodies, atRisk })
  const api = composeApi({ ...live, scrub, atRisk: atRisk.read })
  const pages = composePages({ ...live, atRisk: atRisk.read })
  const operator = config.admin && { tokens: config.admin, clock: machine, scrub, metrics: metrics(), api, pages }

  function health(): ReturnType<Runtime['health']> {
    return {
      notReady: stage !== 'ready' ? [stage] : opened?.inbox.isFailing() ? ['inbox'] : [],
      degraded: opened?.degradations.current() ?? [],
    }
  }

  async function start(signal: AbortSignal): Promise<Running> {
    stage = 'starting'
    await using opening = new AsyncDisposableStack()
    const proxies = proxiesOf(config)
    const outbound = createOutboundFetch(proxies)
    opening.defer(() => outbound.close())
    const prepared = await prepareHandler(handler, {
      timeout: config.handlerTimeout,
      log,
      scrub,
      signal,
      fetch: outbound.fetch as typeof fetch,
    })
    // The handler's code shares this process: the signature check must still refuse a forged one.
    checkVerifier()

    const options = await inboxOptions({
      ...{ config, clock: machine, log, events, signal, onFatal },
      onNotReady: (why) => {
        stage = why
      },
      abandon: (claims) => opened?.worker.abandon(claims),
    })
    const inbox = opening.adopt(await openInbox(config.database, options), (one) => one.close())
    // Replicas share one time, whatever their machines believe.
    const { clock } = inbox
    const linkKey = await inbox.linkKey()
    const links = handler?.kind === 'forward' ? createLinks(config.publicUrl!, linkKey) : null
    const results = await openResults(config.results, {
      minFree: config.minFreeDisk,
      owner: ownerOf(linkKey),
      onWarning: (message) => log.warn(message),
    })
    const handOver = prepared?.open({ results, links, now: clock.now }) ?? null
    if (handOver) opening.defer(() => handOver.close())

    const client = createClient({ ...config.reducto, fetch: outbound.fetch })
    const parts = { config, inbox, results, clock, events, scrub, proxies, client, opening }
    const worker = composeWorker({ ...parts, handOver: handOver?.handOver ?? null })
    const retention = composeUpkeep({ ...parts, log })

    const fleet = watchFleet(inbox, clock, scrub)
    opening.defer(() => fleet.stop())
    const reconcile = composeReconcile({ ...parts, worker }, opening)
    const troubled = { inbox, retention, reconcile, payload: unexpectedPayloads, scrub }
    const degradations = watchDegradations({
      look: () => [...troublesOf(troubled), ...fleet.troubles(), ...worker.troubles],
      count: async () => {
        const { jobs, oldestQueuedAt } = await inbox.stats()
        return { waiting: jobs.queued, oldest: oldestQueuedAt }
      },
      clock,
      events,
    })
    opening.defer(() => degradations.stop())
    startTelling(inbox, outbound.fetch, opening)

    const walk = opening.adopt(createWalkThread(), (one) => one.close())
    const previews = createPreviews({ results, walk, scrub })
    opened = { inbox, results, links, prover: createProver(linkKey), worker, retention, degradations, previews }
    receiver = createReceiver({ endpoints: config.endpoints, directToken: config.directToken, inbox, clock, events })
    stage = 'ready'
    worker.start()
    return running(opened, opening.move())
  }

  /** Closed before the worker: its last settlements are told. */
  function startTelling(inbox: Inbox, fetch: Fetch, opening: AsyncDisposableStack): void {
    if (config.alerts === null) return
    const isRefusing = () => inbox.isFailing()
    const service = config.publicUrl
    const alerts = startAlerts(config.alerts, {
      events,
      clock: machine,
      log,
      scrub,
      service,
      fetch: fetch as never,
      isRefusing,
    })
    opening.defer(() => alerts.stop())
  }

  function running(parts: Opened, closing: AsyncDisposableStack): Running {
    const { inbox, results, worker, retention } = parts
    let stopped: Promise<void> | null = null

    async function stop(doors: Doors): Promise<void> {
      stage = 'draining'
      const { shutdownGrace: grace } = config
      // Written on the request: however the process ends from now on, it is not a crash.
      const noted = inbox.stopAsked().catch((error) => void events.emit('failing', { what: 'record the stop', error }))
      const settled = Promise.all([worker.stop(grace - doors.acceptFor), retention.stop(), noted])
      async function inOrder(): Promise<void> {
        // Load balancers need a moment to see that this service is unready: deliveries that they still send are
        // accepted.
        if (doors.acceptFor > 0) await machine.sleep(doors.acceptFor, new AbortController().signal)
        await doors.close()
        receiver = null
        await settled
        await closing.disposeAsync()
        opened = null
      }
      const longest = Math.max(grace, MIN_STOP_MS)
      if (!(await withinMs(longest, inOrder())))
        log.warn({ ms: longest }, 'stopped before everything was closed: something hangs')
    }

    return {
      inbox,
      results,
      interrupt: () => inbox.stopAsked(),
      stop(doors = CLOSED) {
        stopped ??= stop(doors)
        return stopped
      },
    }
  }

  return {
    receiver: () => receiver,
    health,
    bodies,
    prover: () => opened?.prover ?? null,
    operator,
    ledger: () => opened?.inbox ?? null,
    saved: handler?.kind === 'forward' ? () => savedFilesOf(opened, machine) : null,
    start,
  }
}

function savedFilesOf(opened: Opened | null, { now }: Clock): SavedFilesDeps | null {
  return opened?.links ? { results: opened.results, links: () => opened.links, now } : null
}

/**
 * The owner of drafts, for services that share a folder of results: derived from the inbox's key without revealing it.
 */
function ownerOf(linkKey: Buffer): string {
  return createHash('sha256').update('owner of drafts').update(linkKey).digest('hex').slice(0, 16)
}

function proxiesOf({ proxy }: RuntimeConfig): ProxySettings {
  return createProxySettings({ httpsProxy: proxy.https, httpProxy: proxy.http, noProxy: proxy.no })
}

/** An error in the user's code is a wrong setting, and is reported before a database is opened. */
async function prepareHandler(choice: HandlerChoice | null, deps: PrepareDeps): Promise<PreparedHandOver | null> {
  if (choice === null) return null
  return prepareHandOver(choice, deps).catch((error) => {
    throw error instanceof HandlerUnusable ? new SettingsError([`HANDLER: ${error.message}`]) : error
  })
}
