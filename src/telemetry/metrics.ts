import type { Clock } from '../clock.ts'
import type { Stage } from '../job.ts'
import { countEvents } from './counting.ts'
import type { EventBus } from './events.ts'
import { createGauges, type GaugesDeps } from './gauges.ts'
import { processText, watchProcess } from './process-metrics.ts'
import { createFamilies, type Labels } from './registry.ts'

export type MetricsDeps = Pick<GaugesDeps, 'live' | 'stats' | 'searchLag' | 'disks' | 'atRisk'> & {
  readonly events: EventBus
  readonly clock: Clock
  /** How many signing secrets each endpoint has. */
  readonly signingSecrets: ReadonlyMap<string, number>
  /** Whether there is an endpoint for unsigned direct webhooks. */
  readonly hasDirect: boolean
  /** The known kinds of jobs. */
  readonly types: readonly string[]
  readonly build: Labels<'build_info'>
  /** Jobs of each stage that may run at once. */
  readonly places: Readonly<Record<Stage, number>>
  /** MIN_FREE_DISK, bytes. */
  readonly minFree: number
}

/** The metrics of a receiver. */
export type Metrics = {
  readonly contentType: string
  /** All of them, in the text that Prometheus reads. Waits for half a second at most, whatever hangs. */
  text(): Promise<string>
}

/** Counts from now on. What it says about jobs and disks is a few seconds old. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const { events, clock } = deps
  const families = createFamilies()
  watchProcess()
  const endpoints = [...deps.signingSecrets.keys(), ...(deps.hasDirect ? ['direct'] : [])]
  const counting = countEvents({ events, families, endpoints, types: deps.types, now: clock.now })
  const [only, ...others] = endpoints
  const onlyEndpoint = only !== undefined && others.length === 0 ? only : null
  const gauges = createGauges({ ...deps, families, onlyEndpoint })

  families.set('build_info', deps.build, 1)
  families.set('min_free_disk_bytes', {}, deps.minFree)
  for (const [endpoint, count] of deps.signingSecrets) families.set('signing_secrets', { endpoint }, count)
  for (const [stage, count] of Object.entries(deps.places)) families.set('places', { stage }, count)

  let writing: Promise<string> | null = null
  async function write(): Promise<string> {
    await gauges.refresh()
    counting.flush()
    return `${await families.registry.metrics()}\n${await processText()}`
  }

  return {
    contentType: families.registry.contentType,
    /** Those who look at the same time share one. */
    text() {
      writing ??= write().finally(() => {
        writing = null
      })
      return writing
    },
  }
}
