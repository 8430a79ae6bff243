import { randomUUID } from 'node:crypto'
import { openForWriting } from '../src/inbox/sqlite/schema.ts'
import { createWriter } from '../src/inbox/sqlite/writer.ts'
import { messageId } from './load.ts'

/** Fills an inbox with `count` deliveries of as many done jobs, over the last 90 days, through the store's own writer. */
export function fill(path: string, count: number, metadataOf = (_index: number): object => ({ user_id: '123' })): void {
  const db = openForWriting(path, { migrate: true })
  db.exec('PRAGMA synchronous = OFF')
  const writer = createWriter(db)
  const done = db.prepare(`UPDATE job SET state = 'done', saved_status = 'Completed' WHERE state = 'queued'`)
  const since = Date.now() - 90 * 86_400_000
  for (let index = 0; index < count; ) {
    db.exec('BEGIN')
    for (const end = Math.min(index + 10_000, count); index < end; index++) {
      const at = since + Math.floor((index / count) * 90 * 86_400_000)
      insert(writer, at, index, metadataOf(index))
    }
    done.run()
    writer.tally.finish()
    db.exec('COMMIT')
  }
  db.exec(
    `UPDATE counter SET value = 0 WHERE name = 'job:queued'; INSERT OR REPLACE INTO counter VALUES ('job:done', ${count})`,
  )
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
}

/** A delivery that came at `at`, and its job. */
export function insert(
  writer: ReturnType<typeof createWriter>,
  at: number,
  index: number,
  metadata: object = { user_id: '123' },
): void {
  const jobId = randomUUID()
  const body = JSON.stringify({ status: 'Completed', job_id: jobId, metadata })
  const content = { is: 'job', jobId, status: 'Completed' } as const
  writer.accept({ svixId: messageId(at, index), endpoint: 'default', receivedAt: at, body, content }, at)
}
