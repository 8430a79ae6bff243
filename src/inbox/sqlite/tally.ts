import type { JobProgress, Stage } from '../../job.ts'
import type { Queued } from '../wake-up.ts'
import type { Statements } from './statements.ts'

/** Counter of the queued jobs that wait to be handed over; the other queued ones wait to be fetched. */
export const HAND_OVER = 'queued:hand_over'
/** What the name of an endpoint's last verified delivery begins with. */
export const VERIFIED = 'last_verified_at:'

type Standing = Pick<JobProgress, 'state' | 'stage'>

const waitsForHandOver = (job: Standing | null) => job?.state === 'queued' && job.stage === 'hand_over'

/**
 * The accumulated effects of a transaction: counters, and the stages that have something new to claim. Counters change
 * with every row; they are accumulated here and written once per transaction, in that transaction.
 */
export type Tally = ReturnType<typeof createTally>

export function createTally(sql: Statements) {
  let counts = new Map<string, number>()
  let queued: Record<Stage, boolean> = { fetch: false, hand_over: false }
  /** When the last verified delivery came, by endpoint, the last one last. */
  let verified = new Map<string, number>()
  let token = stored('token')
  let writtenToken = token

  function stored(name: string): number {
    return (sql.counter.get(name) as { value: number } | undefined)?.value ?? 0
  }

  function count(name: string, by: number): void {
    counts.set(name, (counts.get(name) ?? 0) + by)
  }

  function reset(): void {
    counts = new Map()
    queued = { fetch: false, hand_over: false }
    verified = new Map()
  }

  return {
    count,
    /** Only counts; the caller changes the row. */
    countTransition(from: Standing | null, to: Standing | null): void {
      const handing = Number(waitsForHandOver(to)) - Number(waitsForHandOver(from))
      if (handing !== 0) count(HAND_OVER, handing)
      if (from?.state === to?.state) return
      if (from) count(`job:${from.state}`, -1)
      if (to) count(`job:${to.state}`, 1)
    },
    queued(stage: Stage): void {
      queued[stage] = true
    },
    verified(endpoint: string, at: number): void {
      verified.delete(endpoint)
      verified.set(endpoint, at)
    },
    /** A number that no claim has had, not even one of a failed transaction. */
    nextToken(): number {
      token = Math.max(token, stored('token')) + 1
      return token
    },
    value: (name: string) => stored(name) + (counts.get(name) ?? 0),
    set: (name: string, value: number) => void sql.setCounter.run({ name, value }),
    /**
     * Called at the end of a transaction: writes the accumulated counters. If nothing changed, nothing is written and
     * the commit needs no fsync.
     */
    finish(): Queued {
      for (const [name, by] of counts) if (by !== 0) sql.addCounter.run({ name, by })
      for (const [endpoint, value] of verified) {
        sql.setCounter.run({ name: `${VERIFIED}${endpoint}`, value })
        sql.setCounter.run({ name: 'last_verified_at', value })
      }
      if (token !== writtenToken) sql.setCounter.run({ name: 'token', value: token })
      writtenToken = token
      const done = queued
      reset()
      return done
    },
    /** Discards the effects of a failed transaction. */
    drop(): void {
      reset()
      writtenToken = -1
    },
    /** For a savepoint: the state that `restore` returns to. */
    save: () => ({ counts: new Map(counts), queued: { ...queued } }),
    restore(saved: { counts: Map<string, number>; queued: Record<Stage, boolean> }): void {
      counts = new Map(saved.counts)
      queued = { ...saved.queued }
    },
  }
}
