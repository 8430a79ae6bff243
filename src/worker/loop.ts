import type { Clock } from '../clock.ts'
import type { Claim, FreeSlots, Queue } from '../inbox/inbox.ts'
import type { Stage } from '../job.ts'
import { aborted, linkSignals, NO_REASON } from '../signals.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Gate } from './gate.ts'

/** Delay before the next try after the inbox failed, ms. */
const INBOX_RETRY_DELAY_MS = 1_000

export type LoopDeps = {
  readonly stage: Stage
  readonly queue: Pick<Queue, 'claim' | 'ready'>
  readonly gate: Gate
  /** Jobs of this stage that run at once. */
  readonly slots: number
  /** Whether jobs may be claimed now, apart from the gate; closes the gate if not. */
  readonly isFine: () => Promise<boolean>
  /** Whether the other stage may claim now. */
  readonly isOtherOpen: () => boolean
  /** Whether the newest jobs are tried first. */
  readonly newestFirst: () => boolean
  /** Runs a claimed job and settles it. Never rejects. */
  readonly run: (claim: Claim) => Promise<void>
  readonly clock: Clock
  readonly events: EventBus
}

export type Loop = {
  /** Claims and runs until `signal` aborts. It resolves then; claimed jobs may still run. */
  start(signal: AbortSignal): Promise<void>
  /** Resolves when no job runs any more. */
  idle(): Promise<void>
  /** How many jobs run now. */
  readonly busy: number
}

/** One stage of the worker: wait for the gate, claim, run, settle. */
export function createLoop(deps: LoopDeps): Loop {
  const { stage, queue, gate, slots, clock, events } = deps
  const running = new Set<Promise<void>>()
  /** Ends a wait when a slot becomes free. */
  let slotFreed = () => {}

  function start(claim: Claim): void {
    const done: Promise<void> = deps.run(claim).finally(() => {
      running.delete(done)
      slotFreed()
    })
    running.add(done)
  }

  async function claim(wanted: FreeSlots, signal: AbortSignal): Promise<readonly Claim[]> {
    try {
      return await queue.claim(stage, wanted)
    } catch (error) {
      events.emit('failing', { what: `claim for ${stage}`, error })
      await clock.sleep(INBOX_RETRY_DELAY_MS, signal)
      return []
    }
  }

  /** Waits until a claim may find something or a slot is free. */
  async function wait(signal: AbortSignal): Promise<void> {
    using either = linkSignals(signal)
    slotFreed = () => either.abort(NO_REASON)
    if (running.size < slots) {
      // Awaited here: the link must last as long as the wait.
      await queue.ready(stage, either.signal)
      return
    }
    using full = aborted(either.signal)
    await full.promise
  }

  async function turn(signal: AbortSignal): Promise<void> {
    const pass = await gate.waitUntilOpen(signal)
    if (signal.aborted || (pass === 'open' && !(await deps.isFine()))) return
    const newestFirst = pass === 'trial' || deps.newestFirst()
    const limit = slots - running.size
    const wanted = { limit, total: slots, newestFirst, isOtherOpen: deps.isOtherOpen() }
    const claims = limit > 0 ? await claim(wanted, signal) : []
    for (const one of claims) start(one)
    // A trial ends when all of its jobs have ended.
    if (pass === 'trial') await Promise.all(running)
    else if (claims.length === 0) await wait(signal)
  }

  return {
    async start(signal) {
      while (!signal.aborted) {
        try {
          await turn(signal)
        } catch (error) {
          // No error of a claim ends the loop.
          events.emit('failing', { what: `look for jobs to ${stage}`, error })
          await clock.sleep(INBOX_RETRY_DELAY_MS, signal)
        }
      }
    },
    async idle() {
      await Promise.all(running)
    },
    get busy() {
      return running.size
    },
  }
}
