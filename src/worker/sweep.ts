import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { Log } from '../log.ts'
import type { Results } from '../results/results.ts'

/** How often what has outlived its retention is looked for, ms; soon after a start, for services that restart often. */
export const SWEEP_EVERY = 3_600_000
export const FIRST_SWEEP = 60_000

export type SweepDeps = {
  readonly inbox: Pick<Ledger, 'forget' | 'get'>
  readonly results: Pick<Results, 'expire'>
  readonly clock: Clock
  readonly log: Log
  /** Of deliveries and done jobs, ms since their last activity. */
  readonly retention: number
  /** Of results, ms since they were saved; null keeps them for ever. */
  readonly resultsRetention: number | null
}

/** Forgets what has outlived its retention, once an hour. Returns what stops it. */
export function startSweeps(deps: SweepDeps): () => Promise<void> {
  const { clock, log } = deps
  const stopping = new AbortController()

  async function sweep(): Promise<void> {
    const rows = await deps.inbox.forget(clock.now() - deps.retention, stopping.signal)
    const results =
      deps.resultsRetention === null
        ? 0
        : await deps.results.expire({
            before: clock.now() - deps.resultsRetention,
            keep: isNeeded,
            signal: stopping.signal,
          })
    if (rows + results > 0) log.info({ rows, results }, 'forgot what has outlived its retention')
  }

  /** One that is still to be handed over, however long that takes. */
  async function isNeeded(jobId: string): Promise<boolean> {
    const job = await deps.inbox.get(jobId)
    return job !== null && job.state !== 'done'
  }

  async function loop(): Promise<void> {
    for (let pause = FIRST_SWEEP; !stopping.signal.aborted; pause = SWEEP_EVERY) {
      await clock.sleep(pause, stopping.signal)
      if (stopping.signal.aborted) return
      await sweep().catch((error) => log.error({ err: error }, 'retention could not be applied, trying again later'))
    }
  }

  const looping = loop()
  return async () => {
    stopping.abort()
    await looping
  }
}
