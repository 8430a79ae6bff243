import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import type { HandedOver } from '../../handler/hand-over.ts'
import { prepareHandOver } from '../../handler/open.ts'
import { openResults } from '../../results/open.ts'
import type { ResultsConfig } from '../../settings/stores.ts'
import { openLog } from '../../telemetry/log.ts'
import { createScrub } from '../../telemetry/scrub.ts'

/**
 * The thread in which `handle` calls an author's code: it may block for ever, or end its process, and the command still has
 * the last word. It loads the handler, then waits for what it is to be called with.
 */

export type HandlerThreadData = {
  readonly path: string
  readonly timeout: number
  readonly secrets: readonly string[]
  /** `silent`, where the output is for programs. */
  readonly level: string
  readonly terminal: boolean
}

/** A saved result. */
export type ThreadJob = { readonly jobId: string; readonly results: ResultsConfig; readonly minFree: number }

export type ThreadMessage =
  /** The thread itself is there: from here on the time is the handler's. */
  | { readonly is: 'begun' }
  | { readonly is: 'loaded' }
  | { readonly is: 'handed'; readonly handed: HandedOver; readonly ms: number }
  | { readonly is: 'error'; readonly message: string }

if (parentPort) await run(parentPort)

async function run(port: NonNullable<typeof parentPort>): Promise<void> {
  const { path, timeout, secrets, level, terminal } = workerData as HandlerThreadData
  const post = (message: ThreadMessage) => port.postMessage(message)
  const scrub = createScrub(secrets)
  const { log, flush } = openLog({ level, scrub, terminal })
  // The handler may call process.exit.
  process.on('exit', flush)
  post({ is: 'begun' })
  try {
    const prepared = await prepareHandOver({ kind: 'module', path }, { timeout, log, scrub })
    const asked = once(port, 'message')
    post({ is: 'loaded' })
    const [job] = (await asked) as [ThreadJob]
    const results = await openResults(job.results, { minFree: job.minFree })
    const record = await results.record(job.jobId, new AbortController().signal)
    if (record === null) throw new Error(`there is no saved result of ${job.jobId} any more`)
    const { handOver } = prepared.open({ results, links: null, now: Date.now })
    const began = performance.now()
    const handed = await handOver({ record, round: 1, attempt: 1 }, new AbortController().signal)
    flush()
    post({ is: 'handed', handed, ms: Math.round(performance.now() - began) })
  } catch (error) {
    flush()
    post({ is: 'error', message: (error as Error).message })
  }
}
