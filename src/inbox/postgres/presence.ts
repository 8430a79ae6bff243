import type { About } from '../fleet.ts'
import type { ClaimId } from '../inbox.ts'
import type { BeatResult } from './beat.ts'
import type { Beats, StartBeats } from './beats.ts'
import type { PostgresPlace } from './connect.ts'
import type { Duties } from './duties.ts'
import type { Lane } from './lane.ts'
import { endReplica, foldReplicas, noteStop, register, sourceOf } from './replica.ts'
import { takeOver } from './takeover.ts'
import type { DatabaseClock } from './time.ts'
import type { Effects } from './work.ts'

/** This replica's place among the others: its number, its beats, and what it does for those that are dead. */
export type Presence = {
  readonly replica: number
  /** Queues what ended replicas still had in hand. Called at start, and with beats that find some. */
  recover(): Promise<void>
  stopAsked(): Promise<void>
  /** To be called about once a second. */
  look(): void
  close(): Promise<void>
}

export type PresenceOptions = {
  readonly place: PostgresPlace
  readonly control: Lane
  readonly about: About
  readonly now: () => number
  readonly monotonic: () => number
  /** Null when tests set the time. */
  readonly clock: DatabaseClock | null
  readonly startBeats: StartBeats
  /** This replica was declared dead: it holds none of its claims any more. */
  readonly onLost: () => void
  readonly onEffects: (effects: Effects) => void
  readonly onDeath: (error: Error) => void
}

/**
 * What one replica does alone it stops when it has not reached the database for this long, ms: three seconds before others may
 * take it for dead, and begin the same.
 */
const STOP_ALONE_AFTER_MS = 7_000
/** How often counters of replicas that ended are looked after, ms. */
const FOLD_EVERY_MS = 3_600_000

export async function startPresence(options: PresenceOptions & { duties(): Duties }): Promise<Presence> {
  const { control, about, now, monotonic } = options
  let replica = await register(control, about, now())
  let reachedAt = monotonic()
  let foldedAt = monotonic()
  let acting: Promise<void> | null = null
  let isClosed = false

  async function recover(): Promise<void> {
    for (let rows = 1; rows > 0; ) {
      const found = await control.transaction((tx) =>
        takeOver(tx, { of: 'nobody' }, { source: sourceOf(replica, 3), now: now() }),
      )
      options.onEffects(found.effects)
      rows = found.rows
    }
  }

  async function registerAgain(): Promise<void> {
    options.duties().abort(new Error('this replica was declared dead'))
    options.onLost()
    replica = await register(control, about, now())
    beats.rename(replica)
  }

  async function act({ isAlive, hasOrphans, ...beat }: BeatResult): Promise<void> {
    // A beat under an earlier number says nothing about this one.
    if (!isAlive && beat.replica === replica) await registerAgain()
    if (hasOrphans) await recover()
  }

  function onBeat(result: BeatResult): Promise<void> {
    reachedAt = monotonic() - result.roundTrip
    options.clock?.read(result.databaseNow, result.roundTrip)
    if (isClosed || (result.isAlive && !result.hasOrphans)) return Promise.resolve()
    // What fails here is found again by the next beat.
    acting ??= act(result)
      .catch(() => {})
      .finally(() => {
        acting = null
      })
    return acting
  }

  const { place, onDeath } = options
  const beats: Beats = options.startBeats({ place, replica, onBeat, onDeath })

  return {
    get replica() {
      return replica
    },
    recover,
    stopAsked: () => noteStop(control, replica),
    look() {
      if (monotonic() - reachedAt >= STOP_ALONE_AFTER_MS)
        options.duties().abort(new Error('the database is not reached'))
      if (monotonic() - foldedAt < FOLD_EVERY_MS) return
      foldedAt = monotonic()
      void foldReplicas(control, now()).catch(() => {})
    },
    async close() {
      isClosed = true
      await beats.stop()
      await acting
      await endReplica(control, replica, now()).catch(() => {})
    },
  }
}

/** What this process has claimed, and not settled. */
export type InHand = {
  take(claims: readonly ClaimId[]): void
  leave(claim: ClaimId): void
  /** All of them, which are lost. */
  drop(): readonly ClaimId[]
  readonly tokens: readonly number[]
}

export function createInHand(): InHand {
  const claims = new Map<number, ClaimId>()
  return {
    take(taken) {
      for (const { jobId, task, token } of taken) claims.set(token, { jobId, task, token })
    },
    leave: ({ token }) => void claims.delete(token),
    drop() {
      const all = [...claims.values()]
      claims.clear()
      return all
    },
    get tokens() {
      return [...claims.keys()]
    },
  }
}
