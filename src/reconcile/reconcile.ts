import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { NO_REASON } from '../signals.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Exclusively } from './exclusively.ts'
import { createLook, type Look, type LookDeps } from './look.ts'
import { createSilence, type Silence } from './silence.ts'

/** While all is well the pause grows to this many times RECONCILE_EVERY. */
const MAX_FACTOR = 4
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
  let factor = 1

  async function once(): Promise<void> {
    const lookedAt = await ledger.looked()
    tellLongStop(lookedAt)
    if (deps.isRefused()) return
    const found = await look(signal)
    factor = found.missed.length > 0 || found.stopped !== null ? 1 : Math.min(factor * 2, MAX_FACTOR)
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
      cause: likelyCause(Math.min(...missed.map(({ createdAt }) => createdAt)), lastVerifiedAt),
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
        () => every * factor,
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

/** What a person should look at first. `since`: when the first of the missed jobs was registered, ms. */
export function likelyCause(since: number, lastVerifiedAt: number | null): string {
  if (lastVerifiedAt === null)
    return 'no verified delivery has ever arrived: is the endpoint in Svix, with this URL and this signing secret?'
  if (lastVerifiedAt < since)
    return `no verified delivery has arrived since ${new Date(lastVerifiedAt).toISOString()}: has Svix disabled the endpoint, or can it not reach this service? See its message attempts`
  return 'other deliveries arrive: were these jobs submitted without mode svix, or to a channel that no endpoint listens to?'
}
