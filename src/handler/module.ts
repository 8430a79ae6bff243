import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import type { Log } from '../log.ts'
import { type HandedOver, type HandOver, throwIfStoreFails } from './hand-over.ts'
import { type Handler, Permanent } from './handler.ts'
import { type ViewDeps, viewResult } from './result-view.ts'
import { TimeUp, withinTime } from './time-limit.ts'

/** The handler's module cannot be used; the message says where and what to do. */
export class HandlerUnusable extends Error {}

/**
 * Loads the handler that the module at `path` exports.
 * @throws HandlerUnusable
 */
export async function loadHandler(path: string): Promise<Handler> {
  const file = resolve(path)
  if (!existsSync(file)) throw new HandlerUnusable(`there is no file ${file}`)
  const module = await import(pathToFileURL(file).href).catch((error) => {
    throw new HandlerUnusable(explainLoading(error, file))
  })
  if (typeof module.default !== 'function')
    throw new HandlerUnusable(`${path} must export its handler: export default async (result, context) => { … }`)
  return module.default
}

/** Calls the user's module. A call that takes longer than `timeout` ms counts as failed. */
export function createModuleHandOver(
  handler: Handler,
  deps: ViewDeps & { readonly timeout: number; readonly log: Log },
): HandOver {
  return async ({ record, attempt }, signal) => {
    const log = deps.log.child({ jobId: record.job_id })
    try {
      await withinTime(deps.timeout, signal, async (either) =>
        handler(viewResult(record, deps, either), { attempt, signal: either, log }),
      )
      return { is: 'taken' }
    } catch (error) {
      if (signal.aborted) return failed('interrupted', 'the service stops')
      if (error instanceof TimeUp) return failed('handler_timeout', `the handler took longer than ${deps.timeout} ms`)
      throwIfStoreFails(error)
      log.warn({ err: error, attempt }, 'handler failed')
      const message = messageOf(error)
      return isPermanent(error) ? { is: 'refused', reason: { code: 'refused', message } } : failed('handler', message)
    }
  }
}

function failed(code: string, message: string): HandedOver {
  return { is: 'retry', reason: { code, message } }
}

/** By name too: a handler with packages of its own may bring this one along a second time. */
function isPermanent(error: unknown): boolean {
  return error instanceof Permanent || (error as Error | null)?.name === 'Permanent'
}

/** With its cause: of a call that failed, `fetch` itself says no more than that. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, message } = (error.cause ?? {}) as { code?: string; message?: string }
  const cause = isPermanent(error) ? undefined : (code ?? message)
  return `${error.message || error.name}${cause ? ` (${cause})` : ''}`
}

/** What is wrong with a module, with file and line, and the cure. */
function explainLoading(error: unknown, file: string): string {
  const { code, message, stack } = error as NodeJS.ErrnoException
  const text = stripVTControlCharacters(message ?? String(error))
  const missing = /Cannot find (?:package|module) '([^']+)' imported from (\S+)/.exec(text)
  if (code === 'ERR_MODULE_NOT_FOUND' && missing) {
    const [, what = '', from = ''] = missing
    if (what === 'reducto-webhook-receiver')
      return `${from} is outside of this project, where the package is not known by its name: put it into handlers/`
    return /^[./]/.test(what) || what.startsWith('file:')
      ? `${from} imports ${what}, which is not there: write the whole name of the file, with its extension`
      : `${from} imports the package ${what}, which is not installed: npm install ${what} (for a container, build on the image: see "Your code" in README.md)`
  }
  const at = placeOf(stack, file)
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return `${at}: ${text}. Node runs TypeScript by leaving the types out, so enums, namespaces with values and parameter properties do not work: write a const object, or assign in the constructor`
  if (/does not provide an export named/.test(text))
    return `${at}: ${text}. If that is a type, write: import type { … }, or import { type … }`
  if (code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' || error instanceof SyntaxError) return `${at}: ${text}`
  return `${at}: it failed when it was loaded: ${text}`
}

/** `file:line`, as far as the stack tells. */
function placeOf(stack: string | undefined, file: string): string {
  const line = stack?.split('\n').find((text) => text.includes(file))
  const number = line && /:(\d+)(?::\d+)?\)?$/.exec(line.trim())?.[1]
  return number ? `${file}:${number}` : file
}
