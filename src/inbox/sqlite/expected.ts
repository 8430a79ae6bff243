import type { DatabaseSync } from 'node:sqlite'
import { afterExpect, afterMissed } from '../after-expected.ts'
import type { Found, Overdue, Registration } from '../expected.ts'
import type { Jobs } from './jobs.ts'
import type { Statements } from './statements.ts'

/** A registration as it reaches the writing thread: `body` is the text with the metadata. */
export type WrittenRegistration = Pick<Registration, 'endpoint' | 'by'> & { readonly body: string | null }

/** Changes of jobs that no delivery has announced. */
export function createExpected(sql: Statements, { find, insert, put }: Pick<Jobs, 'find' | 'insert' | 'put'>) {
  function expectJob(jobId: string, registration: WrittenRegistration, now: number): 'expected' | 'known' {
    const found = find(jobId)
    const job = afterExpect(found?.job ?? null, jobId, registration, now)
    if (job === null) return 'known'
    if (found) put(found, { job, dropsSideFiles: false })
    else insert(job)
    const { endpoint, body, by } = registration
    const seq = found?.seq ?? find(jobId)!.seq
    sql.register.run({ seq, endpoint: endpoint ?? null, body: body === null ? null : Buffer.from(body), by, at: now })
    return 'expected'
  }

  function missed(jobId: string, told: Found, now: number): 'queued' | 'known' {
    const found = find(jobId)
    const changed = afterMissed(found?.job ?? null, jobId, told, now)
    if (changed === null) return 'known'
    if (found) put(found, changed)
    else insert(changed.job)
    return 'queued'
  }

  function looked(now: number): number | null {
    const before = sql.counter.get('looked_at') as { value: number } | undefined
    sql.setCounter.run({ name: 'looked_at', value: now })
    return before?.value ?? null
  }

  return { expect: expectJob, missed, looked }
}

/** What is asked of them; the index `job_expected` has no other jobs. */
export function createExpectedQueries(db: DatabaseSync) {
  const list = db.prepare(
    `SELECT seq, job_id AS jobId, created_at AS createdAt FROM job WHERE state = 'expected' AND created_at < :before
       AND (created_at, seq) > (SELECT created_at, seq FROM job WHERE seq = :after UNION ALL SELECT -1, -1 LIMIT 1)
     ORDER BY created_at, seq LIMIT :limit`,
  )
  const count = db.prepare(`SELECT COUNT(*) AS total FROM job WHERE state = 'expected' AND created_at < :before`)

  function overdue(before: number, limit: number, after: number): Overdue {
    const rows = list.all({ before, after, limit }) as { seq: number; jobId: string; createdAt: number }[]
    const { total } = count.get({ before }) as { total: number }
    return {
      jobs: rows.map(({ jobId, createdAt }) => ({ jobId, createdAt })),
      total,
      next: rows.length === limit ? (rows.at(-1)?.seq ?? null) : null,
    }
  }

  return { overdue }
}
