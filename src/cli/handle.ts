import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { scrubFor, startService } from '../compose.ts'
import { createEvents } from '../events.ts'
import { loadHandler } from '../handler/module.ts'
import { prepareHandOver } from '../handler/open.ts'
import { openLog } from '../log.ts'
import { openResults } from '../results/open.ts'
import type { JobRecord } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import { createScrub } from '../scrub.ts'
import { type Config, loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { newMessageId } from '../signing.ts'
import type { Kind } from '../simulator/documents/documents.ts'
import { startReducto } from '../simulator/reducto.ts'
import { type Run, WrongUse } from './command.ts'
import { endBySignal } from './signals.ts'
import { simulatedConfig } from './simulated.ts'
import type { handle } from './spec/develop.ts'
import { watchEnd } from './watch-end.ts'

type Saved = {
  readonly config: Pick<Config, 'handlerTimeout' | 'secrets'>
  readonly results: Results
  readonly record: JobRecord
}

/** `handle FILE [--sample KIND | --job ID]`: one call of a handler, with what would become of the job. */
export const runHandle: Run<typeof handle> = async ({ args: [path], values }) => {
  if (path === undefined) throw new WrongUse('handle takes one argument, the file with the handler')
  if (values.sample !== undefined && values.job !== undefined)
    throw new WrongUse('handle takes either --sample or --job')
  const kind = values.sample ?? 'extract'
  const made: string[] = []
  const clear = () => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  const ends = watchEnd({ tell: tellEnd, finish: clear })
  const unwatch = endBySignal(clear)
  try {
    // First what the author has just changed.
    const { handlerTimeout } = loadConfig(environment(), ['handlerTimeout'])
    await loadHandler(path, { timeout: handlerTimeout })
    const saved = values.job === undefined ? await sample(kind, made) : await savedJob(values.job)
    return await call(path, saved, values)
  } finally {
    unwatch()
    ends()
  }
}

/** An end with exit code 0 would pass for a handler that works, one with 2 or 78 for another mistake. */
function tellEnd(code: number): void {
  process.exitCode = 1
  process.stderr.write(
    `the handler or a package of it ended the process (exit code ${code}): it must not call process.exit, and must catch its errors\n`,
  )
}

async function call(path: string, saved: Saved, { json }: { readonly json: boolean }): Promise<number> {
  const { config, results, record } = saved
  const terminal = process.stdout.isTTY && !json
  const { log, flush } = openLog({ level: json ? 'silent' : 'debug', scrub: scrubFor(config), terminal })
  const prepared = await prepareHandOver(
    { kind: 'module', path },
    { timeout: config.handlerTimeout, log, scrub: scrubFor(config) },
  )
  const { handOver, close } = prepared.open({ results, links: null, now: Date.now })
  const began = performance.now()
  try {
    const handed = await handOver({ record, round: 1, attempt: 1 }, new AbortController().signal)
    flush()
    const ms = Math.round(performance.now() - began)
    const reason = 'reason' in handed ? handed.reason.message : null
    const told = {
      taken: 'taken',
      retry: `failed, and would be tried again: ${reason}`,
      refused: `refused, the job would be dead: ${reason}`,
    }
    process.stdout.write(
      json
        ? `${JSON.stringify({ job_id: record.job_id, type: record.type, outcome: handed.is, reason, ms })}\n`
        : `${record.type ?? 'job'} ${record.job_id}: ${told[handed.is]} (${ms} ms)\n`,
    )
    return handed.is === 'taken' ? 0 : 1
  } finally {
    await close()
  }
}

async function savedJob(jobId: string): Promise<Saved> {
  const config = loadConfig(environment(), ['results', 'minFreeDisk', 'handlerTimeout'])
  const results = await openResults(config.results, { minFree: config.minFreeDisk })
  const record = await results.record(jobId, new AbortController().signal)
  if (!record) throw new Error(`there is no saved result of ${jobId} in RESULTS_URL`)
  if (record.gave_up) throw new Error(`the job ${jobId} was given up, and has no result: ${record.gave_up.message}`)
  return { config, results, record }
}

/** A job of this kind goes the whole way through a service of its own, in a folder that is added to `made`. */
async function sample(name: string, made: string[]): Promise<Saved> {
  const reducto = await startReducto()
  const config = simulatedConfig(reducto, { HANDLER_TIMEOUT: environment().HANDLER_TIMEOUT })
  const folder = dirname(config.database.path)
  made.push(folder)
  const events = createEvents()
  const service = await startService({
    config,
    log: openLog({ level: 'silent', scrub: createScrub([]), terminal: false }).log,
    events,
  })
  try {
    const metadata = { file: `${name}.pdf`, user_id: '123' }
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
