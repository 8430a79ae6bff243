import { lstatSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { link } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { fsyncPath } from '../fsync.ts'
import { DatabaseRefused } from '../inbox/inbox.ts'
import { checkInbox } from '../inbox/open.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import type { Run } from './command.ts'
import { print, printJson } from './output.ts'
import { withServerTools } from './server-tools.ts'
import { endBySignal } from './signals.ts'
import type { backup } from './spec/service.ts'

/** `.ts` where this module is, `.js` in the built package. */
const THREAD = new URL(`./backup-thread${extname(import.meta.filename)}`, import.meta.url)

/**
 * `backup FILE`: a consistent copy of the database, durable when FILE is there; the service may run. FILE is there as a
 * whole or not at all, and no file of the user's is replaced or removed.
 */
export const runBackup: Run<typeof backup> = async ({ args: [file = ''], values }) => {
  const target = resolve(file)
  const { database } = loadConfig(environment(), ['database'])
  if (lstatSync(target, { throwIfNoEntry: false })) throw existsAlready(file)
  if (database.kind === 'postgres') throw new Error(withServerTools('pg_dump', database))
  checkDatabase(database.path)
  await copyDurably(database.path, target, file)
  if (values.json) return printJson({ file: target, database: database.path })
  return print(`${file}: a copy of ${database.path}\n`)
}

/** The copy is made in a folder of its own beside FILE: nobody else has its name, and one `rm` takes all of it away. */
async function copyDurably(source: string, target: string, file: string): Promise<void> {
  const made: string[] = []
  // The copying thread may make a file while its folder is emptied.
  const remove = () => {
    for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  }
  // Before there is anything to remove: a signal may come at once.
  const unwatch = endBySignal(remove)
  try {
    const temporary = makeTemporary(target, file)
    made.push(temporary)
    const copy = join(temporary, 'copy')
    await runThread({ source, target: copy })
    await fsyncPath(copy)
    await link(copy, target).catch((error) => {
      throw explainLink(error, file)
    })
  } finally {
    remove()
    unwatch()
  }
  await fsyncPath(dirname(target))
}

function makeTemporary(target: string, file: string): string {
  const folder = dirname(target)
  try {
    return mkdtempSync(join(folder, `.${basename(target)}.`))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'is not there: make it first' : `takes no files (${code})`
    throw new Error(`${file} cannot be written: ${folder} ${why}`)
  }
}

/** SQLite names neither the file nor the setting. @throws DatabaseRefused with both */
function checkDatabase(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isFile())
    throw new Error(
      `DATABASE_URL: ${found ? `${path} is not a file` : `there is no database ${path}`}: has the service run here, with these settings?`,
    )
  try {
    checkInbox({ kind: 'sqlite', path })
  } catch (error) {
    if (error instanceof DatabaseRefused) throw error
    throw new Error(`DATABASE_URL: ${path} cannot be read: ${(error as Error).message}`)
  }
}

function runThread(workerData: { readonly source: string; readonly target: string }): Promise<void> {
  const worker = new Worker(THREAD, { workerData, name: 'backup' })
  return new Promise((done, failed) => {
    worker.once('error', failed)
    worker.once('exit', (code) => (code === 0 ? done() : failed(new Error(`the copy ended with code ${code}`))))
  })
}

function existsAlready(file: string): Error {
  return new Error(`${file} exists already, and is not replaced: name another file, or move it away`)
}

/** Only a link never replaces a file, not even one that came while the copy was made. */
function explainLink(error: NodeJS.ErrnoException, file: string): Error {
  if (error.code === 'EEXIST') return existsAlready(file)
  if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(error.code ?? ''))
    return new Error(
      `${file} cannot be written: its file system has no hard links (${error.code}); write to another one, and copy it from there`,
    )
  return new Error(`${file} cannot be written (${error.code})`)
}
