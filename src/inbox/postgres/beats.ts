import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type BeatResult, sharedMonotonic } from './beat.ts'
import type { BeatMessage, BeatThreadData } from './beat-thread.ts'
import type { PostgresPlace } from './connect.ts'

/** What sends a replica's beats, and tells what each has found out. */
export type Beats = {
  /** The replica has a new number. */
  rename(replica: number): void
  stop(): Promise<void>
}

export type StartBeats = (options: {
  readonly place: PostgresPlace
  readonly replica: number
  /** Resolves when what the beat demands is done, or has failed. */
  readonly onBeat: (result: BeatResult) => Promise<void>
  readonly onDeath: (error: Error) => void
}) => Beats

/** The thread's module: `.ts` like this one, `.js` in the built package. */
const THREAD = new URL(`./beat-thread${extname(import.meta.filename)}`, import.meta.url)
/** How often the event loop shows that it moves, ms. */
const TICK_MS = 1_000

/** Beats from a thread. */
export const startBeatThread: StartBeats = ({ place, replica, onBeat, onDeath }) => {
  const ticks = new SharedArrayBuffer(4)
  const counter = new Int32Array(ticks)
  const workerData: BeatThreadData = { ...place, replica, ticks }
  const thread = new Worker(THREAD, { workerData, name: 'beats' })
  const ticking = setInterval(() => void Atomics.add(counter, 0, 1), TICK_MS)
  ticking.unref()
  let isStopping = false
  thread.on('message', (message: BeatMessage) => {
    if ('failed' in message) return
    // The event loop may have stood still since the answer came: that is a part of the way, and its half is taken off again.
    const { at, ...result } = message
    const late = sharedMonotonic() - at
    const [databaseNow, roundTrip] = [result.databaseNow + late / 2, result.roundTrip + late]
    void onBeat({ ...result, databaseNow, roundTrip })
  })
  thread.on('error', (error: Error) => {
    if (!isStopping) onDeath(error)
  })
  return {
    rename: (next) => thread.postMessage({ replica: next }),
    async stop() {
      isStopping = true
      clearInterval(ticking)
      // A database that does not answer is not waited for.
      await thread.terminate()
    },
  }
}
