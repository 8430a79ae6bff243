import { flushCompileCache } from 'node:module'
import { type Service, scrubFor, startService } from '../compose.ts'
import { type Config, loadConfig, SettingsError } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { describeDatabase, describeResultsLocation } from '../settings/stores.ts'
import { createEvents } from '../telemetry/events.ts'
import { type Log, logEvents, openLog } from '../telemetry/log.ts'
import type { Run } from './command.ts'
import { checkMachine, settingsErrorOf } from './preflight.ts'
import { onStopSignals } from './signals.ts'
import type { serve } from './spec/service.ts'
import { watchBlocked } from './watch-blocked.ts'
import { watchEnd } from './watch-end.ts'

/** What is under way in a start that is given up may take this long to close, ms. It may be a handler that never loads. */
const MAX_GIVE_UP_MS = 1_000
/** Writing down that jobs were interrupted takes one commit; a disk that hangs must not hold up an end at once, ms. */
const MAX_INTERRUPT_MS = 1_000

/**
 * The service: runs until SIGTERM or SIGINT. A signal that comes more than a second after the first ends it at once;
 * nothing is lost then either.
 */
export const runServe: Run<typeof serve> = async () => {
  const config = loadConfig(environment())
  await checkMachine(config)
  const { log, flush } = openLog({ level: config.logLevel, scrub: scrubFor(config), terminal: process.stdout.isTTY })
  const ends = watchEnd({
    tell: (code) =>
      log.fatal({ code }, 'the handler or a package of it ended the process; what is not done stays queued'),
    finish: flush,
  })
  try {
    return await run(config, log, flush)
  } catch (error) {
    const told = settingsErrorOf(error, config)
    if (!(told instanceof SettingsError)) log.fatal({ err: told }, 'cannot start')
    throw told
  } finally {
    ends()
  }
}

async function run(config: Config, log: Log, flush: () => void): Promise<number> {
  const events = createEvents()
  logEvents(events, log)
  const starting = new AbortController()
  const stop = Promise.withResolvers<NodeJS.Signals>()
  const ended = Promise.withResolvers<number>()
  let service: Service | null = null
  onStopSignals(
    (signal) => {
      log.info({ signal, grace: config.shutdownGrace }, 'stopping')
      starting.abort()
      stop.resolve(signal)
    },
    async () => {
      log.warn('another signal: ending at once; what runs stays queued')
      await within(MAX_INTERRUPT_MS, service?.interrupt())
      ended.resolve(1)
    },
  )
  process.on('uncaughtException', (error) => {
    log.fatal(
      { err: error },
      'an error that nothing caught, of this service or of its handler; it ends, and what is not done stays queued',
    )
    ended.resolve(1)
  })

  const { handler } = config
  let loading = () => {}
  if (handler?.kind === 'module') {
    log.info({ handler: handler.path }, 'starting; loads HANDLER')
    loading = watchBlocked(
      config.handlerTimeout,
      `HANDLER: ${handler.path} blocked the start for longer than ${config.handlerTimeout} ms (HANDLER_TIMEOUT)\n`,
    )
  } else log.info('starting')
  // A handler that blocks while it is loaded would keep these lines.
  flush()
  const start = startService({
    config,
    log,
    events,
    signal: starting.signal,
    onFatal(error) {
      log.fatal({ err: error }, 'the database failed; the service ends, and what is not done stays queued')
      ended.resolve(1)
    },
  })
  // A signal may come, or the process may have to end, before it has started.
  const first = await Promise.race([start, stop.promise, ended.promise])
  if (typeof first === 'number') return first
  if (typeof first === 'string') return Promise.race([givenUp(start, config, log), ended.promise])

  loading()
  service = first
  log.info(started(config, service), 'ready')
  hint(config, log)
  // What was compiled for the start serves the threads that come later, and the next start.
  flushCompileCache()
  const stopped = stop.promise.then(() => first.stop())
  stopped.then(
    () => {
      log.info('stopped')
      ended.resolve(0)
    },
    (error) => ended.reject(error),
  )
  return ended.promise
}

/** A start that is no longer wanted: what it had opened is closed, unless that takes long. */
async function givenUp(start: Promise<Service>, config: Config, log: Log): Promise<number> {
  const closed = start.then(
    (service) => service.stop(),
    () => {},
  )
  await within(Math.min(MAX_GIVE_UP_MS, config.shutdownGrace), closed)
  log.info('stopped')
  return 0
}

/** Waits for `ms` at most; what fails meanwhile is of no interest any more. */
async function within(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  const timer = Promise.withResolvers<void>()
  const handle = setTimeout(timer.resolve, ms)
  await Promise.race([work?.catch(() => {}), timer.promise])
  clearTimeout(handle)
}

function started(config: Config, { port, adminPort }: Service) {
  return {
    port,
    ...(adminPort === null ? {} : { adminPort }),
    endpoints: [...config.endpoints.keys()].map(pathOf),
    reducto: config.reducto.baseUrl,
    database: describeDatabase(config.database),
    results: describeResultsLocation(config.results),
    handler: config.handler === null ? 'none' : config.handler.kind === 'module' ? config.handler.path : 'FORWARD_URL',
    concurrency: config.concurrency,
  }
}

/** What to enter in Svix, once the service is up. */
function hint(config: Config, log: Log): void {
  if (config.publicUrl === null) return
  for (const name of config.endpoints.keys()) log.info({ url: `${config.publicUrl}${pathOf(name)}` }, 'Svix endpoint')
}

function pathOf(endpoint: string): string {
  return endpoint === 'default' ? '/webhook' : `/webhook/${endpoint}`
}
