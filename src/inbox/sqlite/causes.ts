import { purgedBefore } from '../../purge.ts'
import { type AtRisk, type Cause, MAX_SOONEST } from '../journal.ts'
import { type DeadCursor, type DeadPart, type DeadStep, groupsOf } from './dead.ts'

/** Dead jobs of an older version that get their cause in one change, and the pause before the next one, ms. */
const FILL_BATCH = 200
const FILL_PAUSE_MS = 5

type CausesDeps = {
  readonly dead: (from: number, at: DeadCursor | null) => Promise<DeadPart>
  readonly describe: (groups: readonly DeadStep[]) => Promise<readonly Cause[]>
  readonly atRisk: (dead: { readonly jobs: number; readonly first: readonly number[] }) => Promise<AtRisk>
  /** Gives so many dead jobs of an older version their cause; returns how many there were. */
  readonly fill: (limit: number) => Promise<number>
}

/** What is asked about the dead: in parts, so that other questions find their place between them. */
export function createCauses({ dead, describe, atRisk, fill }: CausesDeps) {
  let filling: Promise<void> = Promise.resolve()

  async function stepsOf(now: number): Promise<readonly DeadStep[]> {
    const steps: DeadStep[] = []
    let at: DeadCursor | null = null
    do {
      const part: DeadPart = await dead(purgedBefore(now), at)
      steps.push(...part.steps)
      at = part.next
    } while (at !== null)
    return steps
  }

  async function fillAll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await fill(FILL_BATCH)) > 0)
      await new Promise((resolve) => setTimeout(resolve, FILL_PAUSE_MS))
  }

  return {
    /** For the service: what an older version left without a cause gets it beside its work. */
    startFilling(signal: AbortSignal): void {
      // A failure shows in the next change too; the next start goes on.
      filling = fillAll(signal).catch(() => {})
    },
    async causes(now: number): Promise<readonly Cause[]> {
      await filling
      return describe(groupsOf(await stepsOf(now)))
    },
    async atRisk(now: number): Promise<AtRisk> {
      await filling
      const steps = await stepsOf(now)
      const jobs = steps.reduce((sum, { unsaved }) => sum + unsaved, 0)
      const first = steps.flatMap((step) => step.first).sort((a, b) => a - b)
      return atRisk({ jobs, first: first.slice(0, MAX_SOONEST) })
    },
  }
}
