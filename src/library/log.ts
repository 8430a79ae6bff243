import pino from 'pino'
import { errorSerializers, type Log } from '../telemetry/log.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { callOwn } from './call.ts'

/** The destination of log lines: pino's loggers, `console` and most others qualify. */
export type LogSink = {
  readonly [Level in 'debug' | 'info' | 'warn' | 'error']: (
    fields: Readonly<Record<string, unknown>>,
    message: string,
  ) => void
}

export function isLogSink(log: object): log is LogSink {
  return Object.keys(SILENT).every((level) => typeof (log as Record<string, unknown>)[level] === 'function')
}

/** pino's numbers: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal. */
function levelOf(level: number): keyof LogSink {
  if (level < 30) return 'debug'
  if (level < 40) return 'info'
  return level < 50 ? 'warn' : 'error'
}

/** Where a line has its level and its message, until it is given to the app: no field of a handler's has these names. */
const LEVEL = 'reducto-webhook-receiver:level'
const MESSAGE = 'reducto-webhook-receiver:message'

/**
 * A log whose lines go to the log of an app. Errors in them are scrubbed and plain data. A sink that throws or rejects
 * loses a line.
 */
export function createOwnLog(sink: LogSink, scrub: Scrub): Log {
  function give(line: string): unknown {
    const { [LEVEL]: level, [MESSAGE]: message = '', ...fields } = JSON.parse(line) as Record<string, unknown>
    return sink[levelOf(Number(level))](fields, String(message))
  }
  const options = {
    level: 'debug',
    base: null,
    timestamp: false,
    messageKey: MESSAGE,
    formatters: { level: (_label: string, level: number) => ({ [LEVEL]: level }) },
    serializers: errorSerializers(scrub),
  }
  // Of a line that is lost there is nobody left to tell.
  return pino(options, {
    write: (line) =>
      callOwn(
        () => give(line),
        () => {},
      ),
  })
}

/** For an app without a log: warnings and errors, as lines of JSON on standard error. */
export const STANDARD_ERROR: LogSink = {
  debug() {},
  info() {},
  warn: (fields, message) => writeLine('warn', fields, message),
  error: (fields, message) => writeLine('error', fields, message),
}

/** For an app that wants no log. */
export const SILENT: LogSink = { debug() {}, info() {}, warn() {}, error() {} }

function writeLine(level: string, fields: Readonly<Record<string, unknown>>, message: string): void {
  process.stderr.write(`${JSON.stringify({ ...fields, level, name: 'reducto-webhook-receiver', msg: message })}\n`)
}
