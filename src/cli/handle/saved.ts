import { dirname } from 'node:path'
import { startService } from '../../compose.ts'
import { openResults } from '../../results/open.ts'
import type { JobRecord } from '../../results/record.ts'
import type { Results } from '../../results/results.ts'
import { type Config, loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import { newMessageId } from '../../signing.ts'
import type { Kind } from '../../simulator/documents/documents.ts'
import { startReducto } from '../../simulator/reducto.ts'
import { createEvents } from '../../telemetry/events.ts'
import { openLog } from '../../telemetry/log.ts'
import { createScrub } from '../../telemetry/scrub.ts'
import { simulatedConfig } from '../simulated.ts'

/** A saved result, and where it is kept. */
export type Saved = {
  readonly config: Pick<Config, 'results' | 'minFreeDisk' | 'secrets'>
  readonly results: Results
  readonly record: JobRecord
}

/** The result of a job of this installation. */
export async function savedJob(jobId: string): Promise<Saved> {
  const config = loadConfig(environment(), ['results', 'minFreeDisk'])
  const results = await openResults(config.results, { minFree: config.minFreeDisk })
  const record = await results.record(jobId, new AbortController().signal)
  if (!record) throw new Error(`there is no saved result of ${jobId} in RESULTS_URL`)
  if (record.gave_up) throw new Error(`the job ${jobId} was given up, and has no result: ${record.gave_up.message}`)
  return { config, results, record }
}

/**
 * A job of this kind goes the whole way through a service of its own, in a folder that is added to `made`. `more`: members
 * of its metadata.
 */
export async function sample(
  name: string,
  made: string[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<Saved> {
  const reducto = await startReducto()
  const config = simulatedConfig(reducto)
  if (config.results.kind !== 'file') throw new Error('a sample is kept in a folder')
  const folder = dirname(config.results.path)
  made.push(folder)
  const events = createEvents()
  const { log } = openLog({ level: 'silent', scrub: createScrub([]), terminal: false })
  const service = await startService({ config, log, events })
  try {
    const metadata = { file: `${name}.pdf`, user_id: '123', ...more }
    const job = name === 'failed' ? ({ status: 'Failed' } as const) : { kind: name as Kind }
    const jobId = reducto.addJob({ ...job, metadata })
    const status = name === 'failed' ? 'Failed' : 'Completed'
    const settled = new Promise((resolve) => events.once('settled', resolve))
    await service.inbox.accept({
      svixId: newMessageId(),
      endpoint: 'default',
      receivedAt: Date.now(),
      body: JSON.stringify({ status, job_id: jobId, metadata }),
      content: { is: 'job', jobId, status },
    })
    await settled
    const results = await openResults(config.results, { minFree: 0 })
    const record = await results.record(jobId, new AbortController().signal)
    if (!record) throw new Error(`the sample could not be made in ${folder}`)
    return { config, results, record }
  } finally {
    await service.stop()
    await reducto.stop()
  }
}
