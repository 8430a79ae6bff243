import { setTimeout as sleep } from 'node:timers/promises'
import type { JobState } from '../../job.ts'
import type { Operator } from '../open.ts'
import { counted, printError } from '../output.ts'
import type { Progress } from '../progress.ts'
import { durationOf } from '../values.ts'

/** How often jobs that are waited for are looked at, ms. */
const LOOK_EVERY_MS = 500
/** Ids that are looked up in one request. */
const IDS_A_REQUEST = 500

/** Waits until these jobs have ended. Returns the exit code: 1 when one is dead, or the time is over. */
export async function waitForJobs(
  { ledger }: Pick<Operator, 'ledger'>,
  ids: readonly string[],
  timeout: string,
  progress: Progress,
): Promise<number> {
  const deadline = performance.now() + durationOf('timeout', timeout)
  for (;;) {
    const states = await statesOf(ledger, ids)
    const open = states.filter((state) => state !== 'done' && state !== 'dead').length
    const dead = states.filter((state) => state === 'dead').length
    if (open === 0) {
      progress.end()
      if (dead > 0) printError(`${counted(dead, 'job')} ended dead: jobs list --state dead says why`)
      return dead > 0 ? 1 : 0
    }
    if (performance.now() >= deadline) {
      progress.end()
      const { paused } = await ledger.stats()
      printError(
        `${counted(open, 'job')} had not ended after ${timeout}${paused ? ': the worker is paused, see status' : '; does the service run? See status'}`,
      )
      return 1
    }
    progress.say(`${ids.length - open} of ${ids.length} have ended`)
    await sleep(LOOK_EVERY_MS)
  }
}

async function statesOf(ledger: Operator['ledger'], ids: readonly string[]): Promise<readonly JobState[]> {
  const states: JobState[] = []
  for (let at = 0; at < ids.length; at += IDS_A_REQUEST) {
    const jobIds = ids.slice(at, at + IDS_A_REQUEST)
    const { rows } = await ledger.list({ jobIds }, { limit: jobIds.length })
    states.push(...rows.map(({ state }) => state))
  }
  return states
}
