import { DatabaseSync } from 'node:sqlite'
import { DatabaseRefused } from '../inbox.ts'
import { MIGRATIONS } from './schema.ts'

/** Problems that SQLite names before it stops looking. */
const MAX_PROBLEMS = 3

/**
 * Looks whether the file at `path` is a whole database of this service, of this version or an earlier one. `name`: what it
 * is called in what is said.
 * @throws DatabaseRefused
 */
export function checkCopy(path: string, name: string): void {
  using db = new DatabaseSync(path, { readOnly: true })
  try {
    const version = Number(Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0])
    const tables = db.prepare(`SELECT COUNT(*) AS count FROM sqlite_schema WHERE name IN ('delivery', 'job')`).get()
    if (version < 1 || (tables as { count: number }).count !== 2)
      throw new DatabaseRefused(`${name} is no backup of this service: it has no deliveries and jobs`)
    if (version > MIGRATIONS.length)
      throw new DatabaseRefused(
        `${name} has schema version ${version}; this version of the service knows ${MIGRATIONS.length}: restore it with the newer version`,
      )
    const found = db.prepare(`PRAGMA integrity_check(${MAX_PROBLEMS})`).all() as { integrity_check: string }[]
    const problems = found.map((row) => row.integrity_check).filter((problem) => problem !== 'ok')
    if (problems.length > 0)
      throw new DatabaseRefused(
        `${name} is damaged: ${problems.join('; ').replaceAll('\n', ' ')}: take an earlier backup`,
      )
  } catch (error) {
    if (error instanceof DatabaseRefused) throw error
    throw new DatabaseRefused(`${name} cannot be read as a database (${(error as Error).message}): take another backup`)
  }
}

/**
 * Notes in a copy that was checked that what ran when it was made was interrupted: the service that starts on it would take
 * it for a crash otherwise.
 */
export function markInterrupted(path: string): void {
  using db = new DatabaseSync(path)
  db.exec("INSERT INTO counter VALUES ('stop_asked', 1) ON CONFLICT DO UPDATE SET value = 1")
}
