import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'
import type { Degraded, EventBus } from './events.ts'
import type { CleanText } from './scrub.ts'

/** A trouble behind the inbox, as it is now: what is wrong and what to do. */
export type Trouble = {
  readonly name: Degraded
  readonly message: CleanText
  /** Since when it holds, ms since 1970, where that is known better than by having seen it. */
  readonly since?: number
}

/** Jobs that wait because of a problem. `oldest`: since when the first of them has waited, ms since 1970. */
export type Waiting = { readonly waiting: number; readonly oldest: number | null }

/** A problem with what an operator asks next. `since`: when it was first seen, ms since 1970. */
export type Degradation = Trouble & { readonly since: number } & Partial<Waiting>

export type Degradations = {
  /** The current problems, also between two checks. */
  current(): readonly Degradation[]
  /** Ends the checks. A check that is running reports nothing any more. */
  stop(): void
}

/** How often the state is checked, ms. */
export const LOOK_EVERY_MS = 5_000
/** How often a lasting problem is reported again, ms. */
export const TELL_AGAIN_MS = 600_000
/** How often waiting jobs are counted while something is wrong, ms. */
const COUNT_EVERY_MS = 10_000
/** A number that is older is told no more: an inbox that does not answer must not show an early one for hours. Ms. */
const MAX_COUNT_AGE_MS = 3 * COUNT_EVERY_MS

type Known = { readonly trouble: Trouble; readonly since: number; readonly began: number; toldAt: number }

/**
 * Follows problems after the inbox: reports when a problem begins, every ten minutes while it lasts, and when it ends.
 * `look` returns the current problems from memory; `count` asks the inbox, only while there is a problem.
 */
export function watchDegradations(deps: {
  readonly look: () => readonly Trouble[]
  readonly count: () => Promise<Waiting>
  readonly clock: Clock
  readonly events: EventBus
}): Degradations {
  const { clock, events } = deps
  const stopping = new AbortController()
  const known = new Map<Degraded, Known>()
  let counted: Waiting | null = null
  let countedAt = Number.NEGATIVE_INFINITY
  let counting: Promise<void> | null = null

  function refresh(): void {
    const now = new Map(deps.look().map((trouble) => [trouble.name, trouble]))
    for (const [name, { began }] of known) {
      if (now.has(name)) continue
      known.delete(name)
      events.emit('recovered', { name, ms: clock.monotonic() - began })
    }
    for (const [name, trouble] of now) {
      const before = known.get(name)
      if (before) known.set(name, { ...before, trouble })
      else begin(trouble)
    }
    if (known.size === 0) counted = null
  }

  function begin(trouble: Trouble): void {
    const at = clock.monotonic()
    const since = trouble.since ?? clock.now()
    known.set(trouble.name, { trouble, since, began: at, toldAt: at })
    events.emit('degraded', { ...trouble, since, repeated: false })
  }

  function tellAgain(): void {
    for (const one of known.values()) {
      if (clock.monotonic() - one.toldAt < TELL_AGAIN_MS) continue
      one.toldAt = clock.monotonic()
      events.emit('degraded', { ...one.trouble, since: one.since, ...numbers(), repeated: true })
    }
  }

  /** One query at a time: they must not pile up while the inbox does not answer. */
  function count(): void {
    if (known.size === 0 || counting || clock.monotonic() - countedAt < COUNT_EVERY_MS) return
    counting = recount().finally(() => {
      counting = null
    })
  }

  /** An unreadable inbox is reported elsewhere. */
  async function recount(): Promise<void> {
    counted = await deps.count().catch(() => null)
    countedAt = clock.monotonic()
  }

  function numbers(): Waiting | null {
    return clock.monotonic() - countedAt <= MAX_COUNT_AGE_MS ? counted : null
  }

  function turn(): void {
    refresh()
    count()
    tellAgain()
  }

  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      turn()
      await clock.sleep(LOOK_EVERY_MS, stopping.signal)
    }
  }

  void watch()
  return {
    current() {
      refresh()
      return [...known.values()].map(({ trouble, since }) => ({ ...trouble, since, ...numbers() }))
    },
    stop: () => stopping.abort(NO_REASON),
  }
}
