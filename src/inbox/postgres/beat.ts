import { DATABASE_NOW, hasLiveHolder } from './candidates.ts'
import type { Lane } from './lane.ts'
import { type Beat, createObserver } from './observer.ts'

/** What one beat has found out. */
export type BeatResult = {
  /** Whose beat it was. */
  readonly replica: number
  /** This replica lives, as far as the others know. False: it was declared dead, and holds nothing any more. */
  readonly isAlive: boolean
  /** Something is marked as running that nobody alive holds. */
  readonly hasOrphans: boolean
  /** The database's time, ms, and how long the answer took, ms: its reading was taken somewhere in between. */
  readonly databaseNow: number
  readonly roundTrip: number
}

const BEAT = `UPDATE replica SET beat = beat + 1, beat_at = ${DATABASE_NOW} WHERE id = $1 AND NOT ended RETURNING beat`
const OTHERS = 'SELECT id, beat FROM replica WHERE NOT ended AND id <> $1'
const STANDING = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now,
  EXISTS (SELECT 1 FROM job WHERE state = 'running' AND NOT ${hasLiveHolder('job.holder')})
    OR EXISTS (SELECT 1 FROM side_files WHERE is_running AND NOT ${hasLiveHolder('side_files.holder')}) AS orphans`
/** Fails for one that has beaten meanwhile. */
const DECLARE_DEAD = `UPDATE replica SET ended = true, ended_at = $3::bigint WHERE id = $1 AND beat = $2 AND NOT ended RETURNING id`

/** A monotonic clock that all threads of the process share, ms. */
export function sharedMonotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Beats for one replica, and watches the others. `monotonic`: a clock that never jumps, ms. */
export function createBeat(lane: Lane, monotonic: () => number) {
  const observer = createObserver()

  return async (replica: number): Promise<BeatResult> => {
    const began = monotonic()
    const [own, others, standing] = await lane.transaction((tx) =>
      tx.commit([
        { text: BEAT, values: [replica] },
        { text: OTHERS, values: [replica] },
        { text: STANDING, values: [] },
      ]),
    )
    const at = monotonic()
    const { now, orphans } = standing![0] as { now: number; orphans: boolean }
    const dead = observer.see(others as Beat[], at)
    const declared = dead.length > 0 ? await declare(dead, now) : 0
    return {
      replica,
      isAlive: own!.length > 0,
      hasOrphans: orphans || declared > 0,
      databaseNow: now,
      roundTrip: at - began,
    }
  }

  async function declare(dead: readonly Beat[], now: number): Promise<number> {
    const results = await lane.transaction((tx) =>
      tx.commit(dead.map(({ id, beat }) => ({ text: DECLARE_DEAD, values: [id, beat, Math.round(now)] }))),
    )
    return results.flat().length
  }
}
