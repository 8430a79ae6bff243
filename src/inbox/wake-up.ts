import type { Clock } from '../clock.ts'
import type { Stage } from '../job.ts'
import { linkSignals, NO_REASON } from '../signals.ts'

/** When something becomes due that the last claim of its stage did not see, ms; null when nothing does. */
export type NextDue = Readonly<Record<Stage, number | null>>

/** Whether a stage has something queued that it did not have before. */
export type Queued = Readonly<Record<Stage, boolean>>

/** How soon writes of other processes, such as the command line, are noticed, ms. */
const TICK_MS = 1_000

/**
 * Wakes a stage's loop when it should claim. Transactions are numbered in the order of their answers: anything queued
 * in or after the transaction of the stage's last claim is new to the stage. In addition, jobs become due, and other
 * processes write.
 */
export type WakeUp = {
  /** A transaction was answered; it contained claims of these stages. */
  committed(claimed: readonly Stage[], queued: Queued, nextDue: NextDue): void
  /** Wakes every stage: something may have changed. */
  announce(): void
  /** Resolves when a claim of this stage may find something new, or when `signal` aborts. */
  ready(stage: Stage, signal: AbortSignal): Promise<void>
}

type StageState = { newsAt: number; claimedAt: number }

export function createWakeUp(options: {
  readonly clock: Clock
  /** Whether another process has written; null when that is unknown now. */
  readonly look: () => Promise<{ readonly changed: boolean } | null>
  /** How soon it looks again, ms; default TICK_MS. */
  readonly tickMs?: () => number
}): WakeUp {
  const { clock } = options
  const stages: Record<Stage, StageState> = {
    fetch: { newsAt: 0, claimedAt: 0 },
    hand_over: { newsAt: 0, claimedAt: 0 },
  }
  let nextDue: NextDue = { fetch: null, hand_over: null }
  const sleeping = new Set<() => void>()
  let transaction = 0

  function wake(): void {
    for (const wakeOne of sleeping) wakeOne()
  }

  function announce(): void {
    for (const stage of Object.values(stages)) stage.newsAt = transaction
    wake()
  }

  async function sleep(ms: number, signal: AbortSignal): Promise<'woken' | 'slept'> {
    using linked = linkSignals(signal)
    let woken = false
    const wakeOne = () => {
      woken = true
      linked.abort(NO_REASON)
    }
    sleeping.add(wakeOne)
    await clock.sleep(ms, linked.signal)
    sleeping.delete(wakeOne)
    return woken ? 'woken' : 'slept'
  }

  return {
    announce,
    committed(claimed, queued, next) {
      transaction++
      nextDue = next
      for (const stage of claimed) stages[stage].claimedAt = transaction
      for (const stage of ['fetch', 'hand_over'] as const) if (queued[stage]) stages[stage].newsAt = transaction
      if (queued.fetch || queued.hand_over) wake()
    },
    async ready(name, signal) {
      const stage = stages[name]
      while (!signal.aborted && stage.newsAt < stage.claimedAt) {
        const untilDue = (nextDue[name] ?? Number.POSITIVE_INFINITY) - clock.now()
        if (untilDue <= 0) return
        if ((await sleep(Math.min(options.tickMs?.() ?? TICK_MS, untilDue), signal)) === 'woken' || signal.aborted)
          continue
        // A failed check counts as none: the next one comes in a second.
        if ((await options.look().catch(() => null))?.changed) announce()
      }
    },
  }
}
