import { DatabaseSync } from 'node:sqlite'
import type { Inspection } from './inspect.ts'

/** A process that looks at a database and prints what it found: a check of a large one can be ended only with its process. */

/** Problems that SQLite names before it stops looking. */
const MAX_PROBLEMS = 3

const [path = ''] = process.argv.slice(2)
using db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
const pragma = (name: string) => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
const found: Inspection = {
  version: Number(pragma('user_version')),
  journal: String(pragma('journal_mode')),
  problems: (db.prepare(`PRAGMA quick_check(${MAX_PROBLEMS})`).all() as { quick_check: string }[])
    .map((row) => row.quick_check)
    .filter((text) => text !== 'ok'),
}
process.stdout.write(JSON.stringify(found))
