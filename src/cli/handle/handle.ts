import { rmSync, watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { HandedOver } from '../../handler/hand-over.ts'
import type { JobRecord } from '../../results/record.ts'
import { loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import { type Run, WrongUse } from '../command.ts'
import { print, printError } from '../output.ts'
import { endBySignal } from '../signals.ts'
import type { handle } from '../spec/develop.ts'
import { jobIdsOf } from '../values.ts'
import { forwardOnce } from './forward.ts'
import { type Part, printPart } from './print.ts'
import { callInThread } from './run-thread.ts'
import { type Saved, sample, savedJob } from './saved.ts'

type Values = Parameters<Run<typeof handle>>[0]['values']

/** Changes that come together are one: editors write a file in several steps. ms */
const SETTLE_MS = 100

/** `handle FILE [--sample KIND | --job ID]`: a call of a handler, with what would become of the job. */
export const runHandle: Run<typeof handle> = async ({ args: [path], values }) => {
  check(path, values)
  const made: string[] = []
  const clear = () => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  const unwatch = endBySignal(clear)
  try {
    const { handlerTimeout } = loadConfig(environment(), ['handlerTimeout'])
    let saved: Promise<Saved> | null = null
    const getSaved = () =>
      (saved ??= values.job === undefined ? sample(values.sample ?? 'extract', made) : savedJob(values.job))
    if (values.print) await printPart(values.print as Part, await getSaved(), handlerTimeout)
    if (values.forward) return report((await getSaved()).record, await timed(() => forward(values, getSaved)), values)
    if (path === undefined) return 0
    const call = () => callHandler(path, getSaved, handlerTimeout, values)
    return values.watch ? await watching(path, call) : await call()
  } finally {
    unwatch()
    clear()
  }

  async function forward({ forward: url = '' }: Values, getSaved: () => Promise<Saved>): Promise<HandedOver> {
    return forwardOnce(url, await getSaved(), loadConfig(environment(), ['handlerTimeout']).handlerTimeout)
  }
}

function check(path: string | undefined, values: Values): void {
  if (path === undefined && !values.print && !values.forward)
    throw new WrongUse('handle takes one argument, the file with the handler')
  if (path !== undefined && values.forward) throw new WrongUse('handle takes either a file or --forward')
  if (path === undefined && values.watch) throw new WrongUse('handle --watch takes the file with the handler')
  if (values.sample !== undefined && values.job !== undefined)
    throw new WrongUse('handle takes either --sample or --job')
  if (values.job !== undefined) jobIdsOf([values.job])
}

/** The handler is loaded first: what is wrong with it is what its author has just changed. */
async function callHandler(path: string, getSaved: () => Promise<Saved>, timeout: number, values: Values) {
  const { secrets } = loadConfig(environment(), ['handlerTimeout'])
  const data = {
    path,
    timeout,
    secrets,
    level: values.json ? 'silent' : 'debug',
    terminal: process.stdout.isTTY && !values.json,
  }
  let record: JobRecord | null = null
  const called = await callInThread(data, async () => {
    const { config, record: found } = await getSaved()
    record = found
    return { jobId: found.job_id, results: config.results, minFree: config.minFreeDisk }
  })
  if (called.is === 'handed') return report(record!, called, values)
  printError(called.message)
  return 1
}

async function timed(run: () => Promise<HandedOver>) {
  const began = performance.now()
  const handed = await run()
  return { handed, ms: Math.round(performance.now() - began) }
}

function report(
  record: JobRecord,
  { handed, ms }: { readonly handed: HandedOver; readonly ms: number },
  { json }: Values,
): number {
  const reason = 'reason' in handed ? handed.reason.message : null
  const told = {
    taken: 'taken',
    retry: `failed, and would be tried again: ${reason}`,
    refused: `refused, the job would be dead: ${reason}`,
  }
  print(
    json
      ? `${JSON.stringify({ job_id: record.job_id, type: record.type, outcome: handed.is, reason, ms })}\n`
      : `${record.type ?? 'job'} ${record.job_id}: ${told[handed.is]} (${ms} ms)\n`,
  )
  return handed.is === 'taken' ? 0 : 1
}

/** Calls it now, and again after each change of a file beside it, until a signal ends the command. */
async function watching(path: string, call: () => Promise<number>): Promise<number> {
  const folder = dirname(resolve(path))
  let changed = Promise.withResolvers<string>()
  using watcher = closing(
    watch(folder, (_event, name) => {
      if (name !== null && !name.startsWith('.')) changed.resolve(name)
    }),
  )
  watcher.on('error', (error) => changed.reject(error))
  for (;;) {
    await call().catch((error: Error) => printError(error.message))
    printError(`Waits for a change in ${basename(folder)}; Ctrl-C ends it.`)
    const name = await changed.promise
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    changed = Promise.withResolvers()
    printError(`${name} has changed.`)
  }
}

function closing(watcher: ReturnType<typeof watch>) {
  return Object.assign(watcher, { [Symbol.dispose]: () => watcher.close() })
}
