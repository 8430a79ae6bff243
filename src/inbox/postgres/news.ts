import type { Clock } from '../../clock.ts'
import type { Stage } from '../../job.ts'
import type { Queue } from '../inbox.ts'
import { createWakeUp, type NextDue } from '../wake-up.ts'
import type { PostgresPlace } from './connect.ts'
import type { Lane } from './lane.ts'
import { channelOf, startListener } from './listen.ts'
import type { Effects } from './work.ts'

/**
 * Wakes this process's loops for its own commits at once, and tells the others of what it does not take itself. What others
 * commit is heard by LISTEN, or else found by looking.
 */
export type News = {
  /** A transaction was answered, which has queued this. */
  committed(claimed: readonly Stage[], effects: Effects): void
  /** A claim of a stage begins: what is committed until its end may be new to it. */
  claimBegins(stage: Stage, now: number): ClaimMark
  readonly ready: Queue['ready']
  close(): Promise<void>
}

type ClaimMark = {
  /** Until when the last claim of each stage has seen what was due, this one included. */
  readonly claimedAt: Readonly<Record<Stage, number>>
  ends(nextDue: NextDue): void
  fails(): void
}

/** Others are told at most this often, ms. */
const NOTIFY_EVERY_MS = 50
/** How often is looked when nothing is heard, ms. */
const POLL_EVERY_MS = 250
/** How often is looked all the same, ms: what a broken connection swallowed is found then. */
const TICK_MS = 1_000
const STAGES = ['fetch', 'hand_over'] as const

export function createNews(options: {
  readonly place: PostgresPlace
  readonly clock: Clock
  readonly control: Lane
  readonly replica: () => number
  readonly listens: boolean
  readonly onWarning: (message: string) => void
  /** Whether something is due that this process may claim. */
  readonly look: (hasClockGoneBack: boolean) => Promise<{ readonly changed: boolean }>
}): News {
  const { clock, replica } = options
  let claimedAt: Record<Stage, number> = { fetch: 0, hand_over: 0 }
  let nextDue: NextDue = { fetch: null, hand_over: null }
  /** The last time that was seen: an earlier one means that the clock has jumped back. */
  let seenAt = 0
  const waiting: Record<Stage, number> = { fetch: 0, hand_over: 0 }
  /** What was committed while claims were under way. */
  const during = new Set<{ queued: Record<Stage, boolean>; dueAt: Record<Stage, number | null> }>()
  const wakeUp = createWakeUp({
    clock,
    look,
    tickMs: () => (listener && !listener.isHearing ? POLL_EVERY_MS : TICK_MS),
  })

  async function look(): Promise<{ changed: boolean }> {
    const now = clock.now()
    const hasGoneBack = now < seenAt
    seenAt = now
    if (hasGoneBack)
      claimedAt = { fetch: Math.min(claimedAt.fetch, now), hand_over: Math.min(claimedAt.hand_over, now) }
    return options.look(hasGoneBack)
  }

  const listener = options.listens
    ? startListener({
        place: options.place,
        onNews: (from) => {
          // A replica hears itself, too.
          if (from !== replica()) void lookSoon()
        },
        onSilence: () =>
          options.onWarning(
            `no notifications arrive from PostgreSQL (a pooler in transaction mode delivers none): looking for news every ${POLL_EVERY_MS} ms`,
          ),
      })
    : null

  let isLooking = false
  async function lookSoon(): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      if ((await look()).changed) wakeUp.announce()
    } catch {
      // The next look comes by itself.
    } finally {
      isLooking = false
    }
  }

  let notifying: NodeJS.Timeout | null = null
  let notifiedAt = 0
  /** One at a time: behind a connection that hangs they would gather. What is committed meanwhile is told after it. */
  let isTelling = false
  let hasMoreToTell = false
  function tellOthers(): void {
    hasMoreToTell ||= isTelling
    if (notifying || isTelling || !options.listens) return
    const pause = Math.max(notifiedAt + NOTIFY_EVERY_MS - performance.now(), 0)
    notifying = setTimeout(() => {
      notifying = null
      notifiedAt = performance.now()
      const values = [channelOf(options.place), String(replica())]
      // Not within the commit itself: it would hold a lock of the whole database over the sync. What fails is found by looking.
      isTelling = true
      void options.control
        .transaction((tx) => tx.query('SELECT pg_notify($1, $2)', values))
        .catch(() => {})
        .finally(() => {
          isTelling = false
          if (!hasMoreToTell) return
          hasMoreToTell = false
          tellOthers()
        })
    }, pause)
    notifying.unref()
  }

  function noteDue(target: Record<Stage, number | null>, dueAt: Readonly<Record<Stage, number | null>>): void {
    for (const stage of STAGES) {
      const at = dueAt[stage]
      if (at !== null) target[stage] = Math.min(target[stage] ?? at, at)
    }
  }

  function committed(claimed: readonly Stage[], { queued, dueAt }: Effects): void {
    for (const one of during) {
      for (const stage of STAGES) one.queued[stage] ||= queued[stage]
      noteDue(one.dueAt, dueAt)
    }
    const merged = { ...nextDue }
    noteDue(merged, dueAt)
    nextDue = merged
    const isTaken = (stage: Stage) => waiting[stage] > 0
    const isForOthers = STAGES.some((stage) => queued[stage] && !isTaken(stage))
    wakeUp.committed(claimed, queued, nextDue)
    if (isForOthers) tellOthers()
  }

  return {
    committed,
    claimBegins(stage, now) {
      seenAt = now
      claimedAt = { ...claimedAt, [stage]: now }
      const meanwhile = { queued: { fetch: false, hand_over: false }, dueAt: { fetch: null, hand_over: null } }
      during.add(meanwhile)
      return {
        claimedAt,
        ends(next) {
          during.delete(meanwhile)
          const merged: Record<Stage, number | null> = { ...next }
          noteDue(merged, meanwhile.dueAt)
          nextDue = merged
          // What was queued meanwhile counts as new: the claim may not have seen it.
          wakeUp.committed([stage], meanwhile.queued, nextDue)
        },
        fails: () => void during.delete(meanwhile),
      }
    },
    async ready(stage, signal) {
      waiting[stage]++
      try {
        await wakeUp.ready(stage, signal)
      } finally {
        waiting[stage]--
      }
    },
    async close() {
      if (notifying) clearTimeout(notifying)
      await listener?.close()
    },
  }
}
