import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { lockWithoutService, moveInbox } from '../inbox/open.ts'
import { loadConfig, SettingsError } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { databaseUrl } from '../settings/stores.ts'
import { type Run, WrongUse } from './command.ts'
import { print, printError, printJson } from './output.ts'
import type { move } from './spec/service.ts'

/** Rows between two lines that say how far it is. */
const TELL_EVERY = 100_000

/**
 * `move --to postgres://…`: the SQLite inbox of DATABASE_URL into PostgreSQL, with the service stopped. Nothing is changed in
 * the SQLite file. A move that broke off goes on when it is run again.
 */
export const runMove: Run<typeof move> = async ({ values }) => {
  const { database } = loadConfig(environment(), ['database'])
  if (database.kind !== 'sqlite')
    throw new SettingsError([
      'DATABASE_URL: names the inbox that is moved, which must be sqlite:PATH; --to names the server',
    ])
  const target = targetOf(values.to)
  const path = resolve(database.path)
  if (!existsSync(path))
    throw new Error(`there is no database ${path}: has the service run here, with this DATABASE_URL?`)
  // Held until the end: a service that starts meanwhile waits.
  const release = await lockWithoutService(database)
  if (release === null) throw new Error(`a service runs on ${path}: stop it, then move`)
  try {
    let told = 0
    const moved = await moveInbox({ ...database, path }, target, (table, rows) => {
      if (values.json || rows - told < TELL_EVERY) return
      told = rows
      printError(`${table}: ${rows}`)
    })
    if (values.json) return printJson({ from: path, to: target.location, moved })
    const list = Object.entries(moved).filter(([, rows]) => rows > 0)
    print(`${path} is moved to ${target.location}, and all counts agree:\n`)
    print(list.map(([table, rows]) => `  ${table} ${rows}\n`).join(''))
    return print('Set DATABASE_URL to the server for every service, and keep the file until they run.\n')
  } finally {
    release()
  }
}

function targetOf(to: string | undefined) {
  if (to === undefined) throw new WrongUse('move needs --to postgres://USER:PASSWORD@HOST:5432/DATABASE')
  try {
    const target = databaseUrl(to)
    if (target.kind === 'postgres') return target
  } catch (error) {
    throw new WrongUse(`--to ${(error as Error).message}`)
  }
  throw new WrongUse('--to must be postgres://USER:PASSWORD@HOST:5432/DATABASE')
}
