import { flushCompileCache } from 'node:module'
import { scrubFor, startService } from '../compose.ts'
import { createEvents } from '../events.ts'
import { type Log, logEvents, openLog } from '../log.ts'
import { type Config, loadConfig, SettingsError } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { resultsPlace } from '../settings/stores.ts'
import type { Command } from './command.ts'

/** The service: runs until SIGTERM or SIGINT. A second signal ends it at once; nothing is lost then either. */
export const serve: Command = async () => {
  const config = loadConfig(environment())
  const { log, flush } = openLog({ level: config.logLevel, scrub: scrubFor(config), terminal: process.stdout.isTTY })
  const events = createEvents()
  logEvents(events, log)

  const starting = new AbortController()
  const ended = Promise.withResolvers<number>()
  const stopRequest = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        if (starting.signal.aborted) return ended.resolve(1)
        starting.abort()
        resolve(signal)
      })
  })
  process.on('uncaughtException', (error) => {
    log.fatal(
      { err: error },
      'an error that nothing caught, of this service or of its handler; it ends, and what is not done stays queued',
    )
    ended.resolve(1)
  })

  try {
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
    const service = await Promise.race([start, ended.promise])
    if (typeof service === 'number') return service
    log.info(started(config, service.port), 'ready')
    hint(config, log)
    // What was compiled for the start serves the threads that come later, and the next start.
    flushCompileCache()
    void stopRequest.then(async (signal) => {
      log.info({ signal, grace: config.shutdownGrace }, 'stopping')
      await service.stop()
      log.info('stopped')
      ended.resolve(0)
    })
    return await ended.promise
  } catch (error) {
    if (starting.signal.aborted) return 0
    if (!(error instanceof SettingsError)) log.fatal({ err: error }, 'cannot start')
    throw error
  } finally {
    flush()
  }
}

function started(config: Config, port: number) {
  return {
    port,
    endpoints: [...config.endpoints.keys()].map(pathOf),
    reducto: config.reducto.baseUrl,
    database: config.database.path,
    results: resultsPlace(config.results),
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
