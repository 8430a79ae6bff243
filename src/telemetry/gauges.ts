import type { Clock } from '../clock.ts'
import type { JobState, Stage } from '../job.ts'
import { purgeAt } from '../purge.ts'
import { createCached } from './cached.ts'
import type { Degraded } from './events.ts'
import type { Families } from './registry.ts'

/** What is known without asking anybody. */
type Live = {
  readonly isReady: boolean
  readonly degraded: readonly Degraded[]
  readonly bodiesInFlight: number
  readonly waitingRows: number
  readonly busy: Readonly<Record<Stage, number>>
}

/** What the inbox is asked. Times in ms since 1970. */
type StatsReading = {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly oldestDueAt: Readonly<Record<Stage, number | null>>
  readonly lastVerifiedAt: number | null
  /** Expected jobs whose webhook is overdue. */
  readonly expectedOverdue: number
}

/** What the disks are asked, bytes. A store without a disk of its own has no `free`. */
export type DiskReading = {
  readonly parts: Readonly<Record<string, number>>
  readonly free: Readonly<Record<string, number>>
}

/** `soonest`: those that were announced first, ms since 1970. */
type AtRiskReading = { readonly jobs: number; readonly soonest: readonly { readonly receivedAt: number }[] }

export type GaugesDeps = {
  readonly families: Families
  readonly clock: Clock
  readonly live: () => Live
  readonly stats: () => Promise<StatsReading>
  /** Deliveries that search has no index of; null while there is no index. */
  readonly searchLag: () => Promise<number | null>
  readonly disks: () => Promise<DiskReading>
  /** The results that only Reducto has, a minute old at most; null when it is not known. */
  readonly atRisk: () => Promise<AtRiskReading | null>
  /** The endpoint, where there is only one: then the inbox's last delivery is its own. */
  readonly onlyEndpoint: string | null
}

const PAUSES = [
  ['operator', 'worker_paused'],
  ['reducto_auth', 'reducto_auth'],
  ['results', 'results'],
  ['disk', 'disk'],
] as const satisfies readonly (readonly [cause: string, name: Degraded])[]

/** Sets the gauges when somebody looks. */
export function createGauges(deps: GaugesDeps): { refresh(): Promise<void> } {
  const { families, clock } = deps
  const stats = createCached(deps.stats, clock)
  const disks = createCached(deps.disks, clock)
  const searchLag = createCached(deps.searchLag, clock)
  /** From the inbox once, after a start; deliveries tell it from then on. */
  let isLastVerifiedKnown = false

  function setLive(): void {
    const { isReady, degraded, bodiesInFlight, waitingRows, busy } = deps.live()
    families.set('ready', {}, Number(isReady))
    families.set('handler_failing', {}, Number(degraded.includes('handler')))
    families.set('silence', {}, Number(degraded.includes('silence')))
    for (const [cause, name] of PAUSES) families.set('paused', { cause }, Number(degraded.includes(name)))
    families.set('bodies_in_flight_bytes', {}, bodiesInFlight)
    families.set('inbox_waiting_rows', {}, waitingRows)
    for (const [stage, count] of Object.entries(busy)) families.set('busy', { stage }, count)
  }

  function setStats(reading: StatsReading | null): void {
    families.clear('jobs')
    families.clear('oldest_due_seconds')
    families.clear('expected_overdue')
    if (reading === null) return
    families.set('expected_overdue', {}, reading.expectedOverdue)
    for (const [state, count] of Object.entries(reading.jobs)) families.set('jobs', { state }, count)
    for (const [stage, at] of Object.entries(reading.oldestDueAt)) {
      const ms = at === null ? 0 : Math.max(clock.now() - at, 0)
      families.set('oldest_due_seconds', { stage }, ms / 1_000)
    }
    if (deps.onlyEndpoint === null || reading.lastVerifiedAt === null || isLastVerifiedKnown) return
    isLastVerifiedKnown = true
    const labels = { endpoint: deps.onlyEndpoint }
    families.set('last_verified_delivery_timestamp_seconds', labels, reading.lastVerifiedAt / 1_000)
  }

  function setDisks(reading: DiskReading | null): void {
    families.clear('inbox_bytes')
    families.clear('free_disk_bytes')
    for (const [part, bytes] of Object.entries(reading?.parts ?? {})) families.set('inbox_bytes', { part }, bytes)
    for (const [store, bytes] of Object.entries(reading?.free ?? {})) families.set('free_disk_bytes', { store }, bytes)
  }

  function setAtRisk(reading: AtRiskReading | null): void {
    families.clear('results_at_risk')
    families.clear('next_purge_timestamp_seconds')
    if (reading === null) return
    families.set('results_at_risk', {}, reading.jobs)
    const announced = reading.soonest.map(({ receivedAt }) => receivedAt)
    if (announced.length > 0) families.set('next_purge_timestamp_seconds', {}, purgeAt(Math.min(...announced)) / 1_000)
  }

  function setLag(rows: number | null): void {
    families.clear('search_lag_rows')
    if (rows !== null) families.set('search_lag_rows', {}, rows)
  }

  return {
    async refresh() {
      const [jobs, disk, risk, lag] = await Promise.all([stats.read(), disks.read(), deps.atRisk(), searchLag.read()])
      setAtRisk(risk)
      setStats(jobs)
      setDisks(disk)
      setLag(lag)
      setLive()
    },
  }
}
