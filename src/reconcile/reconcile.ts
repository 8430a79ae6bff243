import type { Clock } from '../clock.ts'
import { MAX_LOOK_FACTOR } from '../inbox/expected.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { NO_REASON } from '../signals.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Exclusively } from './exclusively.ts'
import { createLook, type Look, type LookDeps } from './look.ts'
import { createSilence, type Silence } from './silence.ts'

/**
 * The pause after a look that used up its calls, ms: thousands of jobs are overdue then, as after a day with the endpoint
 * disabled, and Reducto keeps their results for 12 hours. So 100,000 of them are looked after in time, at a few calls a second.
 */
const BUDGET_PAUSE_MS = 20_000
/** Svix makes its last attempt after 27 h 35 min, and resends nothing by itself later. Ms. */
const SVIX_GIVES_UP_MS = 28 * 3_600_000

export type ReconcileDeps = Omit<LookDeps, 'ledger'> & {
  readonly ledger: Pick<Ledger, 'overdue' | 'missed' | 'looked' | 'stats' | 'deliveries'>
  readonly clock: Clock
  readonly events: EventBus
  readonly exclusively: Exclusively
  /** The pause between two looks, ms; null: no looks, and only silence is watched. */
  readonly every: number | null
  /** Whether Reducto refuses this account now: no look is made. */
  readonly isRefused: () => boolean
}

export type Reconcile = {
  /** Why nothing verified arrives, as far as it can be told; null while deliveries come as they should. */
  silence(): string | null
  stop(): Promise<void>
}

/**
 * Looks after expected jobs whose webhook is overdue: at once after a start, then every `every` ms, less often while nothing
 * is missed. A start after a stop that outlasted Svix's attempts says so first.
 */
export function startReconcile(deps: ReconcileDeps): Reconcile {
  const { ledger, clock, events, every } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const look = createLook(deps)
  const silence: Silence = createSilence(deps)
  let pause = every ?? 0

  async function once(): Promise<void> {
    const lookedAt = await ledger.looked()
    tellLongStop(lookedAt)
    if (deps.isRefused()) return
    const found = await look(signal)
    pause = pauseAfter(found, every ?? 0, pause)
    await tell(found)
  }

  function tellLongStop(lookedAt: number | null): void {
    if (lookedAt === null) return
    const ms = clock.now() - lookedAt
    if (ms > SVIX_GIVES_UP_MS) events.emit('longStop', { ms, since: lookedAt })
  }

  async function tell({ missed, overdue, asked }: Look): Promise<void> {
    if (missed.length === 0) return
    const { lastVerifiedAt } = await ledger.stats()
    silence.missed(missed)
    events.emit('missedWebhooks', {
      ...{ count: missed.length, overdue, asked, jobIds: missed.slice(0, 3).map(({ jobId }) => jobId) },
      cause: likelyCause(missed, lastVerifiedAt),
    })
  }

  async function loop(pause: () => number, work: () => Promise<unknown>, what: string): Promise<void> {
    while (!signal.aborted) {
      await work().catch((error) => void events.emit('failing', { what, error }))
      await clock.sleep(pause(), signal)
    }
  }

  const loops = [silence.watch(signal)]
  if (every !== null)
    loops.push(
      loop(
        () => pause,
        () => deps.exclusively('reconcile', once),
        'look after overdue jobs',
      ),
    )
  return {
    silence: silence.trouble,
    async stop() {
      stopping.abort(NO_REASON)
      await Promise.all(loops)
    },
  }
}

function pauseAfter({ missed, stopped }: Look, every: number, before: number): number {
  if (stopped === 'budget') return Math.min(every, BUDGET_PAUSE_MS)
  if (missed.length > 0 || stopped !== null) return every
  return Math.min(Math.max(before, every) * 2, every * MAX_LOOK_FACTOR)
}

/** What a person should look at first. */
export function likelyCause(missed: Look['missed'], lastVerifiedAt: number | null): string {
  const ended = missed.filter(({ status }) => status !== null)
  if (ended.length === 0)
    return 'Reducto serves none of these jobs to this key: are their ids right, and were they submitted with another key or region, or purged?'
  if (lastVerifiedAt === null)
    return 'no verified delivery has ever arrived: is the endpoint in Svix, with this URL and this signing secret?'
  // Deliveries that came before the last of them was submitted say nothing about what became of it.
  if (lastVerifiedAt < Math.max(...ended.map(({ createdAt }) => createdAt)))
    return `no verified delivery has arrived since ${new Date(lastVerifiedAt).toISOString()}: has Svix disabled the endpoint, or can it not reach this service? See its message attempts`
  return 'other deliveries arrive: were these jobs submitted without mode svix, or to a channel that no endpoint listens to?'
}
