import { execFile } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `.ts` where this module is, `.js` in a built package. */
const PROCESS = fileURLToPath(new URL(`./inspect-process${extname(import.meta.filename)}`, import.meta.url))

/** `problems`: what SQLite's quick check found. */
export type Inspection = { readonly version: number; readonly journal: string; readonly problems: readonly string[] }

/**
 * Looks at a database from its pages on, while a service works on it. Null when that takes longer than `timeout` ms.
 * Rejects with SQLite's words when it cannot be read.
 */
export function inspectDatabase(path: string, timeout: number): Promise<Inspection | null> {
  return new Promise((resolve, reject) => {
    const options = { timeout, killSignal: 'SIGKILL', encoding: 'utf8' } as const
    execFile(process.execPath, [PROCESS, path], options, (error, output, printed) => {
      if (error?.killed) return resolve(null)
      if (error) return reject(new Error(reasonOf(printed) ?? error.message))
      resolve(JSON.parse(output) as Inspection)
    })
  })
}

/** The message of an uncaught error, as Node prints it. */
function reasonOf(printed: string): string | null {
  return /^(?:Error|\w*Error): (.*)$/m.exec(printed)?.[1] ?? null
}
