import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock } from './clock.ts'
import type { Handler } from './handler/handler.ts'
import { handlerOf } from './handler/load-handler.ts'
import { createMountable } from './http/app.ts'
import { mountProblem } from './http/mount.ts'
import { callOwn } from './library/call.ts'
import { createOwnEvents } from './library/events.ts'
import type { ExpectOptions } from './library/expecting.ts'
import { createLifecycle } from './library/lifecycle.ts'
import { createOwnLog, isLogSink, type LogSink, SILENT, STANDARD_ERROR } from './library/log.ts'
import { expectJob } from './operations/expect.ts'
import { createRuntime } from './runtime.ts'
import { SettingsError } from './settings/config.ts'
import { homeProblem, storageProblems } from './settings/machine.ts'
import { plainProblems } from './settings/own-members.ts'
import { loadOwnConfig, type OwnConfig, type OwnSettings } from './settings/own-settings.ts'
import type { Degradation } from './telemetry/degradations.ts'
import { createEvents, type EventBus, type NotReady } from './telemetry/events.ts'
import { logEvents } from './telemetry/log.ts'
import { createScrub } from './telemetry/scrub.ts'

export type ReceiverOptions = {
  /** By their environment names: see `.env.example`. They take precedence over `environment`. */
  readonly settings?: OwnSettings
  /** The source of other settings, such as the process's own environment. Without it no environment is read. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Called with each saved result: the function itself, or a module whose default export it is. */
  readonly handler?: Handler | { readonly default: Handler }
  /**
   * Receives the lines of the log: a pino logger, `console`, or any object with these four methods. Without one,
   * warnings and errors go to standard error; null disables the log.
   */
  readonly log?: LogSink | null
  /**
   * The database failed. Deliveries are refused from now on, and Svix keeps them; no accepted delivery is lost. Exit
   * the process, or stop and start the receiver.
   */
  readonly onFatal?: (error: Error) => void
}

/** Handles the receiver's routes in Express 4 and 5, and in other frameworks with the same form of middleware. */
export type ReceiverRouter = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void

export type ReceiverHealth = {
  /** Whether deliveries can be accepted. */
  readonly ready: boolean
  /** Why not. */
  readonly notReady: readonly NotReady[]
  /** What is wrong behind the inbox: deliveries are accepted regardless. */
  readonly degraded: readonly Degradation[]
}

/** A receiver inside another app. */
export type Receiver = {
  /** Mount it before every body parser, under any path. Answers with 503 while the receiver is not started. */
  readonly router: ReceiverRouter
  /** The events of the receiver. Errors of listeners have no effect on it. */
  readonly events: EventBus
  health(): ReceiverHealth
  /**
   * Registers a job that was submitted, so that its result is saved even if its webhook never comes. To be called after
   * each `….runJob`, or by `expecting(client, receiver)`. Resolves when it is durable: `known` when a delivery was faster,
   * and nothing changed.
   * @throws TypeError for a wrong id, metadata or endpoint; Error while the receiver is not started, or cannot record it
   */
  expect(jobId: string, options?: ExpectOptions): Promise<'expected' | 'known'>
  /**
   * Opens inbox, results and worker. While it is starting or started, a second call returns the same start; after a
   * stop or a failure, it starts again. Waits at most a minute for another service on the same database.
   * @throws SettingsError when a folder cannot be written to or the handler cannot be used
   */
  start(): Promise<void>
  /**
   * Refuses deliveries, gives running jobs SHUTDOWN_GRACE and closes everything, also during a start. Unfinished jobs
   * stay queued for the next start. Without a start it does nothing; a second call returns the same stop. While it is
   * started, the receiver keeps the process alive.
   */
  stop(): Promise<void>
}

/**
 * Creates a receiver for an app. Opens nothing before it is started. It uses neither the process's environment nor
 * signals, and several receivers with separate databases can coexist.
 * @throws SettingsError that lists every problem
 */
export function createReceiver(options: ReceiverOptions): Receiver {
  const { config, handle } = read(options)
  const scrub = createScrub(config.secrets)
  const log = createOwnLog(options.log === null ? SILENT : (options.log ?? STANDARD_ERROR), scrub)
  const events = createEvents()
  logEvents(events, log)

  function onFatal(error: Error): void {
    log.fatal({ err: error }, 'the database failed; deliveries are refused until the receiver is started again')
    callOwn(
      () => options.onFatal?.(error),
      (thrown) => log.error({ err: thrown }, 'onFatal failed'),
    )
  }
  const handler = handle ? ({ kind: 'function', handle } as const) : config.handler
  const runtime = createRuntime({ config: { ...config, handler }, log, events, clock: systemClock, onFatal })
  const router = createMountable({ ...runtime, events })

  const { start, stop } = createLifecycle(async (signal) => {
    const mounted = mountProblem(router)
    if (mounted !== null) log.error(mounted)
    const home = homeProblem(config.results)
    const problems = [...storageProblems(config), ...(home === null ? [] : [home])]
    if (problems.length > 0) throw new SettingsError(problems)
    return runtime.start(signal)
  })

  return {
    router: router as unknown as ReceiverRouter,
    events: createOwnEvents(events, (error) => log.error({ err: error }, 'a listener of the receiver’s events failed')),
    health() {
      const { notReady, degraded } = runtime.health()
      return { ready: notReady.length === 0, notReady, degraded }
    },
    async expect(jobId, options = {}) {
      try {
        const ledger = runtime.ledger()
        if (ledger === null) throw new Error(`the receiver is not started: the job ${jobId} is not registered`)
        const result = await expectJob({ ledger, endpoints: config.endpoints.keys() }, jobId, options, 'library')
        if (result.is === 'refused') throw new TypeError(result.message)
        return result.is
      } catch (error) {
        log.error({ err: error }, 'a job could not be registered: only its webhook will tell of its end')
        throw error
      }
    },
    start,
    stop,
  }
}

/** All of them: a new option does not compile without its name here. */
const OPTIONS: Readonly<Record<keyof ReceiverOptions, true>> = {
  settings: true,
  environment: true,
  handler: true,
  log: true,
  onFatal: true,
}

function read(options: ReceiverOptions): { readonly config: OwnConfig; readonly handle: Handler | null } {
  if (typeof options !== 'object' || options === null)
    throw new SettingsError(['options: must be an object with settings, environment or both'])
  const { settings = {}, environment = {}, handler, log, onFatal } = options
  const handle =
    handler === undefined ? null : handlerOf(typeof handler === 'function' ? { default: handler } : handler)
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(OPTIONS, name))
  const unread = [...plainProblems('settings', settings), ...plainProblems('environment', environment)]
  const problems = [
    ...unknown.map((name) => `${name}: is not an option; these are settings, environment, handler, log and onFatal`),
    ...unread,
  ]
  if (onFatal !== undefined && typeof onFatal !== 'function') problems.push('onFatal: must be a function')
  if (handler !== undefined) {
    if (handle === null) problems.push('handler: must be a function, or a module whose default export is one')
    for (const name of ['HANDLER', 'FORWARD_URL'] as const)
      if (unread.length === 0 && (settings[name] ?? environment[name]))
        problems.push(`${name}: set either this or the option handler, not both`)
  }
  if (log && !isLogSink(log)) problems.push('log: must have the methods debug, info, warn and error')
  // Of settings that cannot be read nothing is known, not even which are missing.
  if (unread.length > 0) throw new SettingsError(problems)
  return { config: loadOwnConfig(settings, environment, problems), handle }
}
