import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fsyncPath } from '../fsync.ts'
import { copyInbox } from '../inbox/open.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { type Command, WrongUse } from './command.ts'

/** `backup FILE`: a consistent copy of the database, durable when it is there; the service may run. */
export const backup: Command = async (args) => {
  const [file, ...more] = args
  if (!file || more.length > 0) throw new WrongUse('backup takes one argument, the file to write')
  const { database } = loadConfig(environment(), ['database'])
  const partial = `${file}.partial`
  await rm(partial, { force: true })
  // Fails when FILE is there: a backup never overwrites one.
  const claimed = await open(file, 'wx').catch((error) => {
    throw error.code === 'EEXIST' ? new Error(`${file} exists already: name another file`) : error
  })
  await claimed.close()
  try {
    copyInbox(database, partial)
    await fsyncPath(partial)
    await rename(partial, file)
    await fsyncPath(dirname(file))
  } catch (error) {
    await rm(partial, { force: true })
    await rm(file, { force: true })
    throw error
  }
  process.stdout.write(`${file}: a copy of ${database.path}\n`)
  return 0
}
