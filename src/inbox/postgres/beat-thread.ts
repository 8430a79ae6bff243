import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { type BeatResult, createBeat, sharedMonotonic } from './beat.ts'
import { createLane } from './lane.ts'
import { BEAT_EVERY_MS } from './observer.ts'

/**
 * Beats beside the event loop, on a connection of its own: a handler that computes for ten seconds must not look dead. It
 * stops when the event loop has not moved for a minute, since such a replica works on nothing any more.
 */

/** The event loop may stand still for this long, ms. */
const MAX_STANDSTILL_MS = 60_000

export type BeatThreadData = {
  readonly url: string
  readonly schema?: string
  readonly replica: number
  /** Counted up by the event loop. */
  readonly ticks: SharedArrayBuffer
}

/** `failed`: the database was not reached. `at`: when the answer came, on the clock that all threads share, ms. */
export type BeatMessage = (BeatResult & { readonly at: number }) | { readonly failed: string }

/**
 * A beat that is not answered within this time is sent anew over another connection, ms: others take this replica for dead
 * long before a connection that hangs would end by itself.
 */
const ANSWER_TIMEOUT_MS = 3_000

async function run({ url, schema, ticks, ...first }: BeatThreadData): Promise<void> {
  const port = parentPort!
  const place = { url, ...(schema ? { schema } : {}) }
  const naming = { named: true }
  const lane = createLane({ ...place, name: 'beat', sync: 'off', naming, answerTimeout: ANSWER_TIMEOUT_MS })
  const beat = createBeat(lane, () => performance.now())
  const counter = new Int32Array(ticks)
  let replica = first.replica
  let ticked = { count: 0, at: performance.now() }
  port.on('message', (message: { replica: number }) => {
    replica = message.replica
  })

  function isStandingStill(): boolean {
    const count = Atomics.load(counter, 0)
    if (count !== ticked.count) ticked = { count, at: performance.now() }
    return performance.now() - ticked.at > MAX_STANDSTILL_MS
  }

  for (;;) {
    const began = performance.now()
    if (!isStandingStill()) {
      const message: BeatMessage = await beat(replica).then(
        (result) => ({ ...result, at: sharedMonotonic() }),
        (error: Error) => ({ failed: error.message }),
      )
      port.postMessage(message)
    }
    await sleep(Math.max(BEAT_EVERY_MS - (performance.now() - began), BEAT_EVERY_MS / 4))
  }
}

if (parentPort) await run(workerData as BeatThreadData)
