import { write, writeSync } from 'node:fs'
import pino, { type DestinationStream, type Logger } from 'pino'
import pretty from 'pino-pretty'
import { causeTexts, codeOf, memberOf, messageOf, printable } from '../error-text.ts'
import type { EventBus } from './events.ts'
import type { Scrub } from './scrub.ts'

export type Log = Logger

/** A log, and how to write out its buffer. */
export type OpenLog = { readonly log: Log; flush(): void }

/** Lines are written together: when this many bytes have accumulated, and at this interval in ms. */
const BUFFER_BYTES = 4096
const FLUSH_INTERVAL_MS = 500
/** Maximum bytes buffered while nobody reads; further lines are dropped: a log must never delay a delivery. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024

/** JSON lines on standard output, or readable lines on a terminal. Errors are scrubbed. */
export function openLog(options: { level: string; scrub: Scrub; terminal: boolean }): OpenLog {
  const { level, scrub } = options
  const output = createOutput(1)
  const stream: DestinationStream = options.terminal
    ? pretty({ sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss', singleLine: true })
    : output
  const log = pino({ level, base: null, serializers: errorSerializers(scrub) }, stream)
  return { log, flush: output.flush }
}

/**
 * Writes lines to a descriptor. pino's own destination waits without limit for a full disk and a slow reader; here
 * unwritable lines are dropped, and the service continues.
 */
function createOutput(descriptor: number): DestinationStream & { flush(): void } {
  let gathered = ''
  let writing = false
  const timer = setInterval(start, FLUSH_INTERVAL_MS)
  timer.unref()

  function start(): void {
    if (!writing && gathered !== '') writeOut(takeGathered())
  }

  function takeGathered(): Buffer {
    const bytes = Buffer.from(gathered)
    gathered = ''
    return bytes
  }

  function writeOut(bytes: Buffer): void {
    writing = true
    write(descriptor, bytes, (error, written) => {
      const left = bytes.subarray(error ? 0 : written)
      // A pipe with a slow reader.
      if (error?.code === 'EAGAIN') setTimeout(writeOut, FLUSH_INTERVAL_MS, left).unref()
      else if (!error && left.length > 0) writeOut(left)
      else {
        writing = false
        if (gathered.length >= BUFFER_BYTES) start()
      }
    })
  }

  return {
    write(line) {
      if (gathered.length > MAX_BUFFERED_BYTES) return
      gathered += line
      if (gathered.length >= BUFFER_BYTES) start()
    },
    /** Does not wait for a reader: for last lines, and before a call that may never return. */
    flush() {
      try {
        if (gathered !== '') writeSync(descriptor, takeGathered())
      } catch {
        // There is nowhere left to report this.
      }
    },
  }
}

/** Maximum characters of a stack. The handler author's own line is below the lines of this service. */
const MAX_STACK_CHARS = 2_000

/** Writes errors into a log. */
export function errorSerializers(scrub: Scrub) {
  const serialize = (error: unknown) => describeForLog(error, scrub)
  return { err: serialize, error: serialize }
}

/** Any value can be thrown and logged: never throws, and the result is bounded and scrubbed. */
function describeForLog(error: unknown, scrub: Scrub) {
  const message = messageOf(error)
  const [type, code, stack] = [memberOf(error, 'name'), codeOf(error), memberOf(error, 'stack')]
  const causes = causeTexts(error, message)
  return {
    ...(typeof type === 'string' ? { type: scrub(type) } : {}),
    message: scrub(message),
    ...(code === undefined ? {} : { code: scrub(code) }),
    ...(causes.length === 0 ? {} : { cause: scrub(causes.join('; ')) }),
    ...(typeof stack === 'string' ? { stack: scrub(printable(stack), MAX_STACK_CHARS) } : {}),
  }
}

/** Maximum lines per minute, for each reason, about refused requests: anybody can cause these. */
const MAX_REFUSED_LINES = 10
const MINUTE_MS = 60_000
/** Maximum number of reasons counted separately. There are about thirty; further ones share one limit. */
const MAX_REASONS = 64

type Allowance = { readonly times: number[]; suppressed: number }

/**
 * Counts lines by reason. Returns what to add to a line about suppressed ones, or null if the line must be suppressed.
 */
function createLineLimit(now: () => number): (reason: string) => { suppressed?: number; more?: string } | null {
  const byReason = new Map<string, Allowance>()

  function allowanceOf(reason: string): Allowance {
    const key = byReason.has(reason) || byReason.size < MAX_REASONS ? reason : 'other'
    const allowance = byReason.get(key) ?? { times: [], suppressed: 0 }
    byReason.set(key, allowance)
    return allowance
  }

  return (reason) => {
    const allowance = allowanceOf(reason)
    const { times, suppressed } = allowance
    const at = now()
    while (times.length > 0 && times[0]! <= at - MINUTE_MS) times.shift()
    if (times.length >= MAX_REFUSED_LINES) {
      allowance.suppressed++
      return null
    }
    times.push(at)
    allowance.suppressed = 0
    return {
      ...(suppressed > 0 ? { suppressed } : {}),
      ...(times.length === MAX_REFUSED_LINES ? { more: 'further ones of this minute are only counted' } : {}),
    }
  }
}

/** Writes one wide line per event. `now`: a clock that never jumps, ms. */
export function logEvents(events: EventBus, log: Log, now: () => number = () => performance.now()): void {
  const limit = createLineLimit(now)

  events.on('delivery', ({ ms, ...delivery }) => {
    const line = { ...delivery, ms: round(ms) }
    if (delivery.unexpected) log.warn(line, 'delivery ignored: neither a Reducto job update nor a Svix test')
    else log.info(line, 'delivery')
  })
  events.on('refused', (refusal) => {
    const left = limit(refusal.reason)
    if (left !== null) log.warn({ ...refusal, ...left }, 'refused')
  })
  events.on('settled', ({ outcome, ms, dueAt, state, type: _type, sinceDelivery: _since, ...settled }) => {
    const reason = 'reason' in outcome ? { reason: outcome.reason } : {}
    const next = state === 'queued' ? { again: new Date(dueAt).toISOString() } : {}
    const status = outcome.is === 'done' ? { status: outcome.status, missing: outcome.missing } : {}
    const line = { ...settled, outcome: outcome.is, state, ...status, ...reason, ...next, ms: round(ms) }
    if (state === 'dead') log.error(line, 'job')
    else if (['done', 'saved', 'interrupted'].includes(outcome.is)) log.info(line, 'job')
    else log.warn(line, 'job')
  })
  events.on('keyProbed', ({ isGood }) => {
    if (isGood) log.info('Reducto accepts the API key')
    // A refused key is reported as a degradation.
    else if (isGood === null)
      log.warn('Reducto did not answer the check of the API key; jobs will show whether it is valid')
  })
  events.on('sideFiles', ({ again, ms, ...tried }) => {
    const line = { ...tried, ...(again === null ? {} : { again: new Date(again).toISOString() }), ms: round(ms) }
    if (tried.missing === 0) log.info(line, 'side files saved')
    else log.warn(line, again === null ? 'side files stay missing' : 'side files are still missing')
  })
  events.on('missed', ({ ms, ...job }) => log.info({ ...job, ms: round(ms) }, 'missed webhook: job queued'))
  events.on('missedWebhooks', (found) => log.warn(found, 'jobs ended without a webhook'))
  events.on('longStop', ({ ms, since }) =>
    log.warn(
      { hours: Math.round(ms / 3_600_000), since: new Date(since).toISOString() },
      'the service was stopped for longer than Svix tries (28 h): looking for expected jobs that ended meanwhile; for jobs that nobody registered run reconcile --all, and press Recover in Svix',
    ),
  )
  events.on('action', (action) => log.info(action, 'action'))
  events.on('claimLost', (job) => log.warn(job, 'claim lost, nothing changed'))
  events.on('failing', ({ what, error }) => log.error({ what, err: error }, 'operation failed, retrying'))
  events.on('degraded', ({ name, message, since, oldest, repeated, ...more }) => {
    const times = {
      since: new Date(since).toISOString(),
      ...(oldest == null ? {} : { oldest: new Date(oldest).toISOString() }),
    }
    log.error({ cause: name, reason: message, ...times, ...more }, repeated ? 'still degraded' : 'degraded')
  })
  events.on('recovered', ({ name, ms }) => log.info({ cause: name, ms: round(ms) }, 'recovered'))
  events.on('slowed', ({ ms }) => log.warn({ ms: round(ms) }, 'Reducto limits the rate of calls, worker slowed down'))
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
