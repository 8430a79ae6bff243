import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { EventBus } from '../telemetry/events.ts'
import { createRhythm } from './rhythm.ts'

/** How often the inbox is asked for the last delivery, ms: other processes may have taken it. */
const LOOK_EVERY_MS = 60_000
/** Deliveries of the last week that are read at a start, to know the rhythm. */
const MAX_READ = 20_000
const PAGE = 1_000

export type SilenceDeps = {
  readonly ledger: Pick<Ledger, 'stats' | 'deliveries'>
  readonly clock: Clock
  readonly events: EventBus
}

export type Silence = {
  /** These jobs ended, and no webhook told. */
  missed(jobs: readonly { readonly createdAt: number }[]): void
  trouble(): string | null
  /** Follows what arrives until `signal` aborts. */
  watch(signal: AbortSignal): Promise<void>
}

/**
 * Tells when nothing verified arrives though it should: jobs have ended since the last delivery without one of their own,
 * or the rhythm of the last week has broken.
 */
export function createSilence({ ledger, clock, events }: SilenceDeps): Silence {
  const rhythm = createRhythm()
  const startedAt = clock.now()
  let lastAt: number | null = null
  /** When the first job was registered that was missed since the last delivery. */
  let missedSince: number | null = null
  let missedCount = 0

  function arrived(at: number): void {
    if (lastAt !== null && at <= lastAt) return
    rhythm.arrived(at)
    lastAt = at
    if (missedSince !== null && at >= missedSince) {
      missedSince = null
      missedCount = 0
    }
  }

  async function readWeek(): Promise<void> {
    const since = rhythm.from(clock.now())
    const times: number[] = []
    let cursor: string | undefined
    do {
      const page = await ledger.deliveries({ since }, { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
      times.push(...page.rows.map(({ receivedAt }) => receivedAt))
      cursor = page.next ?? undefined
    } while (cursor !== undefined && times.length < MAX_READ)
    // With more than that only a part of the week is known.
    rhythm.begin(cursor === undefined ? since : (times.at(-1) ?? clock.now()))
    for (const at of times.sort((a, b) => a - b)) arrived(at)
  }

  function trouble(): string | null {
    const last = lastAt === null ? 'none has ever arrived' : `the last one came ${new Date(lastAt).toISOString()}`
    if (missedSince !== null)
      return `${missedCount} expected ${missedCount === 1 ? 'job has' : 'jobs have'} ended without a webhook, and no verified delivery has arrived since (${last}): look at the message attempts in Svix, and whether the endpoint is disabled`
    const pause = rhythm.brokenSince(clock.now(), startedAt)
    if (pause === null) return null
    return `no verified delivery for ${Math.round(pause / 60_000)} min, more than three times the longest pause of the last week (${last}): if jobs are being submitted, look at the message attempts in Svix`
  }

  async function watch(signal: AbortSignal): Promise<void> {
    const onDelivery = () => arrived(clock.now())
    events.on('delivery', onDelivery)
    try {
      await readWeek().catch((error) => void events.emit('failing', { what: 'read the deliveries of the week', error }))
      while (!signal.aborted) {
        const stats = await ledger.stats().catch(() => null)
        if (stats?.lastVerifiedAt != null) arrived(stats.lastVerifiedAt)
        await clock.sleep(LOOK_EVERY_MS, signal)
      }
    } finally {
      events.off('delivery', onDelivery)
    }
  }

  return {
    missed(jobs) {
      const since = lastAt ?? Number.NEGATIVE_INFINITY
      const silent = jobs.filter(({ createdAt }) => createdAt > since)
      if (silent.length === 0) return
      missedCount += silent.length
      missedSince = Math.min(missedSince ?? Number.POSITIVE_INFINITY, ...silent.map(({ createdAt }) => createdAt))
    },
    trouble,
    watch,
  }
}
