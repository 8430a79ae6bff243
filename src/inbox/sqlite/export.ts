import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { openForReading } from './schema.ts'

/** A row of a table that is moved to another store; bodies are bytes. */
type MovedRow = Readonly<Record<string, string | number | Uint8Array | null>>

/** The tables that are moved, in an order in which nothing refers to a later one. */
export const MOVED_TABLES = [
  ...[
    'delivery',
    'job',
    'registration',
    'job_endpoint',
    'attempt',
    'side_files',
    'action',
    'action_job',
    'minute',
    'hour',
  ],
  ...['secret', 'operator_pause'],
] as const
type MovedTable = (typeof MOVED_TABLES)[number]

/** What is read of a table; `:after` is the number of the last row that was moved. What ran was interrupted by the stop. */
const ROWS: Readonly<Record<MovedTable, string>> = {
  delivery: 'SELECT * FROM delivery LEFT JOIN delivery_body USING (seq) WHERE seq > :after ORDER BY seq',
  job: `SELECT seq, job_id, CASE state WHEN 'running' THEN 'queued' ELSE state END AS state, stage, type, announced_status,
      saved_status, fetch_since_round, endpoint, first_delivery, failures, polls, crashes, due_at, spent, gone_spent, reason_code,
      reason_message, cause, token, round, created_at, queued_at, updated_at
    FROM job WHERE seq > :after ORDER BY seq`,
  registration: 'SELECT * FROM registration WHERE job_seq > :after ORDER BY job_seq',
  job_endpoint: 'SELECT * FROM job_endpoint WHERE 0 <= :after',
  attempt: 'SELECT * FROM attempt WHERE 0 <= :after',
  side_files: 'SELECT *, 0 AS is_running FROM side_files WHERE job_seq > :after ORDER BY job_seq',
  action: 'SELECT * FROM action WHERE seq > :after ORDER BY seq',
  action_job: 'SELECT * FROM action_job WHERE 0 <= :after',
  minute: 'SELECT * FROM minute WHERE 0 <= :after',
  hour: 'SELECT * FROM hour WHERE 0 <= :after',
  secret: 'SELECT * FROM secret WHERE 0 <= :after',
  operator_pause: 'SELECT id, paused_at AS since, paused_reason AS reason FROM operator_pause WHERE 0 <= :after',
}

/** An inbox that is read as a whole, table by table. */
export type Export = {
  count(table: MovedTable): number
  rows(table: MovedTable, after: number): Iterable<MovedRow>
  /** Its counters: when the last deliveries came, the highest token. */
  counters(): ReadonlyMap<string, number>
  /** A number that no other inbox has: of its secrets, without revealing them. */
  identity(): number
  close(): void
}

/** As many as a number holds exactly. */
const IDENTITY_BYTES = 6

/** @throws DatabaseRefused */
export function openExport(path: string): Export {
  const db: DatabaseSync = openForReading(path)
  return {
    count: (table) => (db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get() as { n: number }).n,
    rows: (table, after) => db.prepare(ROWS[table]).iterate({ after }) as Iterable<MovedRow>,
    counters: () =>
      new Map(
        (db.prepare('SELECT name, value FROM counter').all() as { name: string; value: number }[]).map((row) => [
          row.name,
          row.value,
        ]),
      ),
    identity() {
      const hash = createHash('sha256').update('identity of an inbox')
      const rows = db.prepare('SELECT name, value FROM secret ORDER BY name').all()
      for (const { name, value } of rows as { name: string; value: Uint8Array }[]) hash.update(name).update(value)
      return hash.digest().readUIntBE(0, IDENTITY_BYTES)
    },
    close: () => db.close(),
  }
}
