import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KIND_NAMES } from './answer/kinds.ts'
import type { Clock } from './clock.ts'
import type { HandlerChoice } from './handler/open.ts'
import type { BodyReader } from './http/body.ts'
import type { Health } from './http/health.ts'
import { OVERDUE_AFTER_MS } from './inbox/expected.ts'
import type { AtRisk, Inbox } from './inbox/inbox.ts'
import { type InboxPlace, inboxBytes } from './inbox/open.ts'
import type { Config } from './settings/config.ts'
import type { Cached } from './telemetry/cached.ts'
import type { EventBus } from './telemetry/events.ts'
import type { DiskReading } from './telemetry/gauges.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { packageVersion } from './version.ts'
import type { Worker } from './worker/worker.ts'

type MetricsConfig = Pick<
  Config,
  'endpoints' | 'directToken' | 'database' | 'results' | 'concurrency' | 'minFreeDisk'
> & { readonly handler: HandlerChoice | null }

type MetricsParts = {
  readonly config: MetricsConfig
  readonly events: EventBus
  readonly clock: Clock
  readonly bodies: BodyReader
  readonly health: Health
  /** The results that only Reducto has: looked for at most once a minute, by whoever asks. */
  readonly atRisk: Cached<AtRisk>
  /** Null while the service is not started. */
  readonly opened: () => { readonly inbox: Inbox; readonly worker: Worker } | null
}

/** Wires the metrics. They count over stops and starts of what they watch. */
export function composeMetrics({ config, events, clock, bodies, health, atRisk, opened }: MetricsParts): Metrics {
  const { concurrency } = config
  return createMetrics({
    events,
    clock,
    signingSecrets: new Map([...config.endpoints].map(([name, secrets]) => [name, secrets.length])),
    hasDirect: config.directToken !== null,
    types: KIND_NAMES,
    places: { fetch: concurrency, hand_over: concurrency },
    minFree: config.minFreeDisk,
    build: {
      version: packageVersion(),
      node: process.version,
      inbox: config.database.kind,
      results: config.results.kind,
      handler: config.handler?.kind ?? 'none',
    },
    live() {
      const parts = opened()
      const { notReady, degraded } = health()
      return {
        isReady: notReady.length === 0,
        degraded: degraded.map(({ name }) => name),
        bodiesInFlight: bodies.inFlight,
        waitingRows: parts?.inbox.waitingRows() ?? 0,
        busy: parts?.worker.busy ?? { fetch: 0, hand_over: 0 },
      }
    },
    async stats() {
      const parts = opened()
      if (parts === null) throw new Error('not started')
      const [stats, overdue] = await Promise.all([
        parts.inbox.stats(),
        parts.inbox.overdue(clock.now() - OVERDUE_AFTER_MS, 1),
      ])
      return { ...stats, expectedOverdue: overdue.total }
    },
    async searchLag() {
      const parts = opened()
      if (parts === null) throw new Error('not started')
      return parts.inbox.searchLag()
    },
    disks: () => readDisks(config),
    atRisk: () => atRisk.read(),
  })
}

async function readDisks({ database, results }: Pick<MetricsConfig, 'database' | 'results'>): Promise<DiskReading> {
  const place: InboxPlace = database
  const [inbox, saved, parts] = await Promise.all([
    place.kind === 'sqlite' ? freeBytes(dirname(place.path)) : null,
    results.kind === 'file' ? freeBytes(results.path) : null,
    inboxBytes(place),
  ])
  return {
    parts,
    free: { ...(inbox === null ? {} : { inbox }), ...(saved === null ? {} : { results: saved }) },
  }
}

/** Null where it cannot be told. */
async function freeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch {
    return null
  }
}
