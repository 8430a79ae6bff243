import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { EventBus } from '../telemetry/events.ts'
import { createListening } from './listening.ts'
import { createRhythm, type Rhythm, WEEK_MS } from './rhythm.ts'

/** How often the inbox is asked for the last delivery, ms: other processes may have taken it. */
const LOOK_EVERY_MS = 60_000
/** Deliveries of the last week that are read at a start, to know the rhythm. */
const MAX_READ = 20_000
const PAGE = 1_000
/** A delivery further ahead than this is one from before the clock was set back, ms. */
const MAX_AHEAD_MS = 60_000

export type SilenceDeps = {
  readonly ledger: Pick<Ledger, 'stats' | 'deliveries'>
  readonly clock: Clock
  readonly events: EventBus
}

export type Silence = {
  /** These jobs ended, and no webhook told. */
  missed(jobs: readonly { readonly createdAt: number; readonly status: string | null }[]): void
  trouble(): string | null
  /** Follows what arrives until `signal` aborts. */
  watch(signal: AbortSignal): Promise<void>
}

/** What arrives at one endpoint: each has a rhythm of its own, or a busy one would hide that another one is silent. */
type Heard = { readonly rhythm: Rhythm; lastAt: number | null }

/**
 * Tells when nothing verified arrives though it should: jobs have ended since the last delivery without one of their own,
 * or the rhythm of the last week has broken, at one endpoint or at all.
 */
export function createSilence({ ledger, clock, events }: SilenceDeps): Silence {
  const listening = createListening(clock)
  const heard = new Map<string, Heard>()
  let lastAt: number | null = null
  /** From when on all deliveries are known. */
  let knownFrom = clock.now()
  /** When the first job was registered that was missed since the last delivery. */
  let missedSince: number | null = null
  let missedCount = 0

  function isNews(at: number, last: number | null): boolean {
    const latest = clock.now() + MAX_AHEAD_MS
    return at <= latest && (last === null || at > last || last > latest)
  }

  function heardAt(endpoint: string): Heard {
    const known = heard.get(endpoint)
    if (known) return known
    const made: Heard = { rhythm: createRhythm(), lastAt: null }
    made.rhythm.begin(knownFrom)
    heard.set(endpoint, made)
    return made
  }

  function arrived(endpoint: string, at: number): void {
    const own = heardAt(endpoint)
    if (isNews(at, own.lastAt)) {
      own.rhythm.arrived(at, listening.lastGap())
      own.lastAt = at
    }
    if (!isNews(at, lastAt)) return
    lastAt = at
    if (missedSince !== null && at >= missedSince) {
      missedSince = null
      missedCount = 0
    }
  }

  /** The week before the last delivery: the silence that may follow it says nothing about the rhythm. */
  async function readWeek(): Promise<void> {
    const { lastVerifiedAt } = await ledger.stats()
    if (lastVerifiedAt === null) return
    const since = lastVerifiedAt - WEEK_MS
    const rows: { endpoint: string; receivedAt: number }[] = []
    let cursor: string | undefined
    do {
      const page = await ledger.deliveries({}, { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
      rows.push(...page.rows)
      cursor = page.next ?? undefined
    } while (cursor !== undefined && rows.length < MAX_READ && (rows.at(-1)?.receivedAt ?? lastVerifiedAt) >= since)
    rows.sort((a, b) => a.receivedAt - b.receivedAt)
    // A service that was installed within that week knows a part of it, and so does one with more than was read.
    const firstAt = rows[0]?.receivedAt
    if (firstAt === undefined) return
    knownFrom = Math.min(knownFrom, Math.max(since, firstAt))
    for (const { rhythm } of heard.values()) rhythm.begin(knownFrom)
    // What came before that week says how long its first pause was.
    for (const { endpoint, receivedAt } of rows) arrived(endpoint, receivedAt)
  }

  function trouble(): string | null {
    if (missedSince !== null)
      return `${missedCount} expected ${missedCount === 1 ? 'job has' : 'jobs have'} ended without a webhook, and no verified delivery has arrived since (${lastOne(lastAt)}): look at the message attempts in Svix, and whether the endpoint is disabled`
    const now = clock.now()
    const broken = [...heard].flatMap(([endpoint, { rhythm, lastAt: last }]) => {
      const ms = rhythm.brokenSince(now, listening.since())
      return ms === null ? [] : [{ endpoint, ms, last }]
    })
    const [first] = broken.sort((a, b) => a.ms - b.ms)
    if (first === undefined) return null
    const where =
      heard.size === 1
        ? ''
        : ` at the ${broken.length === 1 ? 'endpoint' : 'endpoints'} ${broken.map(({ endpoint }) => endpoint).join(', ')}`
    return `no verified delivery${where} for ${Math.round(first.ms / 60_000)} min, more than three times the longest pause of the last week (${lastOne(first.last)}): if jobs are being submitted, look at the message attempts in Svix`
  }

  async function watch(signal: AbortSignal): Promise<void> {
    const onDelivery = ({ endpoint }: { readonly endpoint: string }) => arrived(endpoint, clock.now())
    events.on('delivery', onDelivery)
    try {
      await readWeek().catch((error) => void events.emit('failing', { what: 'read the deliveries of the week', error }))
      while (!signal.aborted) {
        const stats = await ledger.stats().catch(() => null)
        for (const { endpoint, lastVerifiedAt } of stats?.endpoints ?? []) arrived(endpoint, lastVerifiedAt)
        await clock.sleep(LOOK_EVERY_MS, signal)
        listening.lastGap()
      }
    } finally {
      events.off('delivery', onDelivery)
    }
  }

  return {
    missed(jobs) {
      const since = lastAt ?? Number.NEGATIVE_INFINITY
      // What Reducto does not know may never have been a job: nothing was to come.
      const silent = jobs.filter(({ createdAt, status }) => status !== null && createdAt > since)
      if (silent.length === 0) return
      missedCount += silent.length
      missedSince = Math.min(missedSince ?? Number.POSITIVE_INFINITY, ...silent.map(({ createdAt }) => createdAt))
    },
    trouble,
    watch,
  }
}

function lastOne(at: number | null): string {
  return at === null ? 'none has ever arrived' : `the last one came ${new Date(at).toISOString()}`
}
