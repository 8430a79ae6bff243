import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { codeOf, describeError, isA, memberOf, messageOf } from '../error-text.ts'
import type { Log } from '../telemetry/log.ts'
import { createScrub, type Scrub } from '../telemetry/scrub.ts'
import { watchExit } from './exit-watch.ts'
import type { Handler } from './handler.ts'
import { TimeoutError, withTimeout } from './time-limit.ts'

/** The handler's module cannot be used; the message says where and what to do. */
export class HandlerUnusable extends Error {
  override readonly name = 'HandlerUnusable'
}

export type LoadOptions = {
  /** HANDLER_TIMEOUT: maximum time for the module's top level, ms. */
  readonly timeout?: number
  /** Aborts a start that is still running. */
  readonly signal?: AbortSignal
  /** Scrubs errors that the module throws. */
  readonly scrub?: Scrub
  /** Logs that the module has exited the process. */
  readonly log?: Log
}

const DEFAULT_TIMEOUT = 60_000
/** Maximum characters of a message; one about syntax quotes the line. */
const MAX_MESSAGE_CHARS = 2_000

/**
 * Loads the handler that the module at `path` exports.
 * @throws HandlerUnusable, or the reason of `signal`
 */
export async function loadHandler(path: string, options: LoadOptions = {}): Promise<Handler> {
  const { timeout = DEFAULT_TIMEOUT, signal = new AbortController().signal, scrub = createScrub([]), log } = options
  const file = resolve(path)
  const unusable = (why: string) => new HandlerUnusable(scrub(why, MAX_MESSAGE_CHARS))
  if (!existsSync(file)) throw unusable(`there is no file ${file}`)
  const unwatch = log && watchExit((code) => log.fatal({ file, code }, 'HANDLER ended the process while it was loaded'))
  try {
    const module: object = await withTimeout(timeout, signal, () => import(pathToFileURL(file).href))
    return handlerOf(module) ?? throwError(unusable(`${path} must export its handler: ${explainExports(module)}`))
  } catch (error) {
    if (isA(error, HandlerUnusable)) throw error
    signal.throwIfAborted()
    throw unusable(isA(error, TimeoutError) ? explainTimeout(file, timeout) : explainLoading(error, file))
  } finally {
    unwatch?.()
  }
}

/** The default export; for a module compiled to CommonJS, its `exports.default`. */
export function handlerOf(module: object): Handler | null {
  const main = memberOf(module, 'default')
  for (const candidate of [main, memberOf(main, 'default')])
    if (typeof candidate === 'function' && !isClass(candidate)) return candidate as Handler
  return null
}

function isClass(candidate: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(candidate))
}

const USAGE = 'export default async (result, context) => { … }'

function explainExports(module: object): string {
  const main = memberOf(module, 'default')
  const inner = typeof main === 'object' && main !== null ? Object.keys(main) : []
  const names = [...new Set([...Object.keys(module), ...inner])].filter((name) => !NO_EXPORTS.has(name))
  const kind = typeof main === 'function' ? 'a class' : main === null ? 'null' : `of type ${typeof main}`
  const found = main === undefined ? 'it has no default export' : `its default export is ${kind}, not a function`
  const others = names.length === 0 ? '' : ` (it exports ${names.slice(0, 10).join(', ')})`
  return `${USAGE}; ${found}${others}`
}

/** The names that Node and compilers add to a module's exports. */
const NO_EXPORTS: ReadonlySet<string> = new Set(['default', 'module.exports', '__esModule'])

function explainTimeout(file: string, timeout: number): string {
  return `${file} was not loaded within ${timeout} ms (HANDLER_TIMEOUT): something at its top level, or in a module that it imports, does not end, such as an await; move it into the function that handles a result, or give it more time with HANDLER_TIMEOUT`
}

/** Of an import, and of a require. */
const NOT_FOUND: ReadonlySet<string> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'])
/** What Node says of an ES module that it reads as CommonJS. */
const READ_AS_COMMONJS = /^(?:Cannot use import statement outside a module|Unexpected token 'export')/

/** The error of a module with file, line and advice. A module can throw any value. */
function explainLoading(error: unknown, file: string): string {
  const code = codeOf(error)
  const text = messageOf(error)
  const missing = /Cannot find (?:package|module) '([^']+)'(?: imported from (\S+))?/.exec(text)
  if (NOT_FOUND.has(code ?? '') && missing) return explainMissing(missing[1]!, missing[2] ?? file)
  const at = sourceLine(memberOf(error, 'stack'), file)
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return `${at}: ${text}. Node runs TypeScript by removing the types, so enums, namespaces with values and parameter properties do not work: write a const object, or assign in the constructor`
  if (/does not provide an export named/.test(text))
    return `${at}: ${text}. If that is a type, write: import type { … }, or import { type … }`
  if (READ_AS_COMMONJS.test(text))
    return `${at}: ${text}. The nearest package.json says "type": "commonjs", so Node reads the file as CommonJS: give that package.json "type": "module", or name the file .mts (.mjs for JavaScript)`
  if (code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' || isA(error, SyntaxError)) return `${at}: ${text}`
  return `${at}: it failed when it was loaded: ${describeError(error)}`
}

function explainMissing(what: string, from: string): string {
  if (what === 'reducto-webhook-receiver')
    return `${from} is outside this project, where the package cannot be imported by its name: move the file into handlers/, or install the package next to it`
  return /^[./]/.test(what) || what.startsWith('file:')
    ? `${from} imports ${what}, which does not exist: write the full file name with its extension`
    : `${from} imports the package ${what}, which is not installed: npm install ${what} (for a container, build on the image: see docs/handlers.md)`
}

/** `file:line`, if the stack has it. */
function sourceLine(stack: unknown, file: string): string {
  const line = typeof stack === 'string' ? stack.split('\n', 50).find((text) => text.includes(file)) : undefined
  const number = line && /:(\d+)(?::\d+)?\)?$/.exec(line.trim())?.[1]
  return number ? `${file}:${number}` : file
}

function throwError(error: Error): never {
  throw error
}
