import type { Clock } from '../clock.ts'
import type { EventBus } from './events.ts'
import { refusalLabel } from './reasons.ts'

/** Counts are written so often, ms: what a crash loses is of no longer time. */
export const WRITE_EVERY_MS = 60_000
const MINUTE_MS = 60_000
/** Minutes that are kept while they cannot be written; the oldest go first. */
const MAX_WAITING = 120

/** `at`: when the minute began, ms. */
type Minute = { readonly at: number; readonly counts: Readonly<Record<string, number>> }

export type MinutesDeps = {
  readonly events: EventBus
  readonly clock: Clock
  /** Adds to what is kept of these minutes: one change, however many they are. */
  readonly write: (minutes: readonly Minute[]) => Promise<void>
}

/**
 * Counts what happens in each minute, in memory, so that recording a delivery costs nothing more, and writes it once a
 * minute. `stop` writes the rest.
 */
export function countMinutes({ events, clock, write }: MinutesDeps): { stop(): Promise<void> } {
  const stopping = new AbortController()
  let counted = new Map<number, Map<string, number>>()

  function add(name: string): void {
    const now = clock.now()
    const at = now - (now % MINUTE_MS)
    const counts = counted.get(at) ?? new Map<string, number>()
    counts.set(name, (counts.get(name) ?? 0) + 1)
    counted.set(at, counts)
  }

  const listeners = {
    delivery: ({ outcome }: { readonly outcome: string }) => add(outcome),
    refused: ({ reason }: { readonly reason: string }) => add(`refused:${refusalLabel(reason)}`),
    settled: ({ state, outcome }: { readonly state: string; readonly outcome: { is: string; status?: string } }) => {
      if (state === 'dead') add('dead')
      else if (state === 'done') add(outcome.is === 'done' && outcome.status === 'Failed' ? 'failed' : 'done')
    },
  }

  async function flush(): Promise<void> {
    if (counted.size === 0) return
    const taken = counted
    counted = new Map()
    try {
      await write([...taken].map(([at, counts]) => ({ at, counts: Object.fromEntries(counts) })))
    } catch {
      // That nothing can be written shows elsewhere: these are written with the next.
      putBack(taken)
    }
  }

  function putBack(taken: typeof counted): void {
    for (const [at, counts] of counted) {
      const earlier = taken.get(at) ?? new Map<string, number>()
      for (const [name, n] of counts) earlier.set(name, (earlier.get(name) ?? 0) + n)
      taken.set(at, earlier)
    }
    counted = new Map([...taken].slice(-MAX_WAITING))
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(WRITE_EVERY_MS, stopping.signal)
      await flush()
    }
  }

  events.on('delivery', listeners.delivery)
  events.on('refused', listeners.refused)
  events.on('settled', listeners.settled)
  const looping = loop()
  return {
    async stop() {
      stopping.abort()
      await looping
      events.off('delivery', listeners.delivery)
      events.off('refused', listeners.refused)
      events.off('settled', listeners.settled)
      await flush()
    },
  }
}
