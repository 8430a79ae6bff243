import { workerData } from 'node:worker_threads'
import { copyTo, openForReading } from '../inbox/sqlite/schema.ts'

/** What `backup` runs beside its own thread: SQLite copies in one call, during which no signal would be heard. */

const { source, target } = workerData as { readonly source: string; readonly target: string }

const db = openForReading(source)
try {
  copyTo(db, target)
} finally {
  db.close()
}
