import pino from 'pino'
import { errorSerializers, type Log } from '../log.ts'
import type { Scrub } from '../scrub.ts'

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

/**
 * A log that writes to an app's log. Errors in its lines are scrubbed plain data. If a sink throws, the line is lost.
 */
export function createOwnLog(sink: LogSink, scrub: Scrub): Log {
  const stream = {
    write(line: string) {
      const { level, time: _, msg = '', ...fields } = JSON.parse(line) as Record<string, unknown>
      try {
        sink[levelOf(Number(level))](fields, String(msg))
      } catch {
        // There is nowhere left to report this.
      }
    },
  }
  return pino({ level: 'debug', base: null, serializers: errorSerializers(scrub) }, stream)
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
  process.stderr.write(`${JSON.stringify({ level, name: 'reducto-webhook-receiver', ...fields, msg: message })}\n`)
}
