import { statSync } from 'node:fs'
import { openForWriting } from '../src/inbox/sqlite/schema.ts'
import { createWriter } from '../src/inbox/sqlite/writer.ts'
import { insert } from './fill.ts'

/** Writes deliveries into the inbox `path` until its log has `bytes`, and dies: a connection that is closed may move the log. */

const [path, bytes] = process.argv.slice(2) as [string, string]
const db = openForWriting(path, { migrate: false })
db.exec('PRAGMA synchronous = OFF')
const writer = createWriter(db)
for (let index = 0; statSync(`${path}-wal`).size < Number(bytes); ) {
  db.exec('BEGIN')
  for (const end = index + 32; index < end; index++) insert(writer, Date.now(), index)
  writer.tally.finish()
  db.exec('COMMIT')
}
process.kill(process.pid, 'SIGKILL')
