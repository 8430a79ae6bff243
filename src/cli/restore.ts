import { lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { copyFile, link, rename } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fsyncPath, mkdirDurably } from '../fsync.ts'
import { lockWithoutService, prepareBackup, removeSearchIndex } from '../inbox/open.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import type { Run } from './command.ts'
import { print, printJson } from './output.ts'
import { withServerTools } from './server-tools.ts'
import { endBySignal } from './signals.ts'
import type { restore } from './spec/service.ts'

/**
 * `restore FILE`: puts a backup in the place of the database. It refuses while a service runs, and where a log lies beside
 * the database, whose deliveries would be lost or, worse, be added to the backup. The backup is copied and the copy is
 * checked first; it takes its place as a whole, and what was there is kept under a name that is printed.
 */
export const runRestore: Run<typeof restore> = async ({ args: [file = ''], values }) => {
  const { database } = loadConfig(environment(), ['database'])
  if (database.kind === 'postgres') throw new Error(withServerTools('pg_restore', database))
  const target = resolve(database.path)
  const source = resolve(file)
  if (!lstatSync(source, { throwIfNoEntry: false })) throw new Error(`there is no file ${file}`)
  if (source === target) throw new Error(`${file} is the database itself (DATABASE_URL): name a backup`)
  refuseLog(source, `${file} is no backup, or one that something has opened`)
  await mkdirDurably(dirname(target))
  // Held until the end: a service that starts meanwhile waits.
  const release = await lockWithoutService(database)
  if (release === null) throw new Error(`a service runs on ${target}: stop it, then restore`)
  try {
    refuseLog(target, 'the service did not end cleanly')
    const aside = await install(source, target, file)
    if (values.json) return printJson({ file: source, database: target, kept: aside })
    print(`${target}: restored from ${file}\n`)
    return aside === null ? 0 : print(`The database that was there is kept as ${aside}\n`)
  } finally {
    release()
  }
}

/** SQLite would play a log into whatever database it finds beside it. */
function refuseLog(path: string, why: string): void {
  const found = ['-wal', '-journal'].map((end) => `${path}${end}`).find((log) => (sizeOf(log) ?? 0) > 0)
  if (found)
    throw new Error(
      `${found} lies there, with deliveries that are not in the database file: ${why}. Start the service once and stop it, which puts them in; or move the file away, and its deliveries are lost`,
    )
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size
}

/** Returns where the database that was there is kept; null when there was none. */
async function install(source: string, target: string, file: string): Promise<string | null> {
  const folder = dirname(target)
  const made: string[] = []
  const remove = () => {
    for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  }
  // Before there is anything to remove: a signal may come at once.
  const unwatch = endBySignal(remove)
  try {
    const temporary = mkdtempSync(join(folder, `.${basename(target)}.`))
    made.push(temporary)
    const copy = join(temporary, 'copy')
    await copyFile(source, copy)
    prepareBackup(copy, file)
    await fsyncPath(copy)
    const aside = await keepAside(target)
    removeSearchIndex({ kind: 'sqlite', path: target })
    await rename(copy, target)
    // Empty ones of the old database; SQLite makes its own.
    for (const end of ['-wal', '-shm', '-journal']) rmSync(`${target}${end}`, { force: true })
    await fsyncPath(folder)
    return aside
  } finally {
    remove()
    unwatch()
  }
}

/** Another name for what is there: until the backup takes its place, the database stays where it is. */
async function keepAside(target: string): Promise<string | null> {
  if (!lstatSync(target, { throwIfNoEntry: false })) return null
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  for (let number = 1; ; number++) {
    const aside = `${target}.before-restore-${stamp}${number === 1 ? '' : `-${number}`}`
    try {
      await link(target, aside)
      return aside
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue
      // A file system without hard links: for a moment there is none, which a signal could make last.
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code ?? '')) throw error
      await rename(target, aside)
      return aside
    }
  }
}
