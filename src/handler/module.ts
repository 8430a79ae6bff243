import { describeError, isA, memberOf, messageOf } from '../error-text.ts'
import type { Log } from '../telemetry/log.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { createCallFiles } from './call-files.ts'
import { watchExit } from './exit-watch.ts'
import { type HandedOver, type HandOver, throwIfStoreFails } from './hand-over.ts'
import type { Handler } from './handler.ts'
import { type ViewDeps, viewResult } from './result-view.ts'
import { TimeoutError, withTimeout } from './time-limit.ts'

export { HandlerUnusable, loadHandler } from './load-handler.ts'

export type ModuleDeps = ViewDeps & {
  /** Maximum time of one call, ms. */
  readonly timeout: number
  readonly log: Log
  readonly scrub: Scrub
}

/** Calls the user's module. A call that takes longer than `timeout` has failed. Its errors are reported scrubbed. */
export function createModuleHandOver(handler: Handler, deps: ModuleDeps): HandOver {
  const calls = createCalls(deps.log)
  return async ({ record, attempt }, signal) => {
    const log = deps.log.child({ jobId: record.job_id })
    const leave = calls.enter(record.job_id)
    const files = createCallFiles(deps.results)
    try {
      await withTimeout(deps.timeout, signal, async (either) =>
        handler(viewResult(record, { walk: deps.walk, results: files }, either), { attempt, signal: either, log }),
      )
      return { is: 'taken' }
    } catch (error) {
      if (signal.aborted) return failed('interrupted', 'the service stops')
      if (isA(error, TimeoutError)) return failed('handler_timeout', `the handler took longer than ${deps.timeout} ms`)
      throwIfStoreFails(error)
      warn(log, { err: error, attempt })
      if (!isPermanent(error)) return failed('handler', describeError(error))
      return { is: 'refused', reason: { code: 'refused', message: deps.scrub(messageOf(error)) } }
    } finally {
      files.end()
      leave()
    }
  }

  function failed(code: string, text: string): HandedOver {
    return { is: 'retry', reason: { code, message: deps.scrub(text) } }
  }
}

/** By name: a handler with its own packages may have a second copy of `Permanent`. */
function isPermanent(error: unknown): boolean {
  return memberOf(error, 'name') === 'Permanent'
}

/** Some thrown values cannot be logged. */
function warn(log: Log, fields: { readonly err: unknown; readonly attempt: number }): void {
  try {
    log.warn(fields, 'handler failed')
  } catch {
    log.warn({ attempt: fields.attempt }, 'handler failed')
  }
}

/** The jobs whose calls are running, which are named if the process exits meanwhile. */
function createCalls(log: Log): { enter(jobId: string): () => void } {
  const running = new Set<{ readonly jobId: string }>()
  let unwatch: (() => void) | null = null

  function reportExit(code: number): void {
    const jobs = [...running].map(({ jobId }) => jobId)
    log.fatal({ jobs, code }, 'the process exits while the handler runs: did it call process.exit?')
  }

  return {
    enter(jobId) {
      const call = { jobId }
      running.add(call)
      unwatch ??= watchExit(reportExit)
      return () => {
        running.delete(call)
        if (running.size > 0) return
        unwatch?.()
        unwatch = null
      }
    },
  }
}
