import { DatabaseRefused } from '../inbox.ts'
import type { PostgresPlace } from './connect.ts'
import { createLane, type Lane } from './lane.ts'
import { prepareSchema } from './migrate.ts'
import { storable } from './rows.ts'
import { HAND_OVER } from './work.ts'

type Value = string | number | Uint8Array | null
type MovedRow = Readonly<Record<string, Value>>

/** The other store, read as a whole. */
type Source<Table extends string> = {
  count(table: Table): number
  rows(table: Table, after: number): Iterable<MovedRow>
  counters(): ReadonlyMap<string, number>
  /** A number that no other inbox has. */
  identity(): number
}

/** Rows and bytes of one transaction. */
const MAX_ROWS = 1_000
const MAX_BYTES = 8 * 1024 * 1024
/** Tables whose rows have numbers: there a move that broke off goes on. */
const NUMBERED: Readonly<Record<string, string>> = {
  delivery: 'seq',
  job: 'seq',
  action: 'seq',
  side_files: 'job_seq',
  registration: 'job_seq',
}
/** Columns that are a boolean here and a number there. */
const BOOLEANS = new Set(['is_later', 'is_running'])
/** Columns that are computed here. */
const COMPUTED = new Set(['is_retry'])

const COUNT_ALL = [
  `DELETE FROM counter WHERE name <> 'moving'`,
  `INSERT INTO counter (name, source, value) SELECT 'job:' || state, 0, count(*) FROM job GROUP BY state`,
  `INSERT INTO counter (name, source, value) SELECT 'delivery:' || disposition, 0, count(*) FROM delivery GROUP BY disposition`,
  `INSERT INTO counter (name, source, value) SELECT '${HAND_OVER}', 0, count(*) FROM job WHERE state = 'queued' AND stage = 'hand_over'`,
]
const NEXT_NUMBERS = ['delivery', 'job', 'action'].map(
  (table) =>
    `SELECT setval(pg_get_serial_sequence('${table}', 'seq'), greatest((SELECT coalesce(max(seq), 0) FROM ${table}), 1))`,
)

/**
 * Moves a whole inbox into an empty schema, in batches; a move that broke off goes on where it was. The counts of all tables
 * are compared at the end. `onProgress`: rows of a table that are there.
 * @throws DatabaseRefused when an inbox is there already, a service works on it, or the counts differ
 */
export async function importInbox<Table extends string>(
  place: PostgresPlace,
  source: Source<Table>,
  tables: readonly Table[],
  onProgress: (table: Table, rows: number) => void,
): Promise<Readonly<Record<Table, number>>> {
  await prepareSchema({ ...place, migrate: true, isMove: true })
  const lane = createLane({ ...place, name: 'move', naming: { named: true } })
  try {
    await begin(lane, source.identity())
    const moved = {} as Record<Table, number>
    for (const table of tables) {
      await moveTable(lane, source, table, (rows) => onProgress(table, rows))
      moved[table] = await compared(lane, source, table)
    }
    await finish(lane, source)
    return moved
  } finally {
    await lane.close()
  }
}

async function begin(lane: Lane, identity: number): Promise<void> {
  await lane.transaction(async (tx) => {
    // A service that starts now registers before this, and is seen, or after it, and is refused.
    await tx.query('LOCK TABLE replica IN SHARE ROW EXCLUSIVE MODE')
    const [row] = await tx.query<{ moving: number | null; used: boolean }>(
      `SELECT (SELECT value FROM counter WHERE name = 'moving') AS moving, EXISTS (SELECT 1 FROM delivery) OR EXISTS (SELECT 1 FROM job) OR EXISTS (SELECT 1 FROM replica) AS used`,
      [],
    )
    if (row!.used && row!.moving === null)
      throw new DatabaseRefused(
        'a service has worked on that database already: an inbox can only be moved into an empty one',
      )
    if (row!.moving !== null && row!.moving !== identity)
      throw new DatabaseRefused(
        'the move of another inbox into that database has not ended: run that one again, or drop the schema to begin anew',
      )
    await tx.query(
      `INSERT INTO counter (name, source, value) VALUES ('moving', 0, $1::bigint) ON CONFLICT DO NOTHING`,
      [identity],
    )
  })
}

async function moveTable<Table extends string>(
  lane: Lane,
  source: Source<Table>,
  table: Table,
  onProgress: (rows: number) => void,
): Promise<void> {
  let batch: object[] = []
  let bytes = 0
  let rows = 0
  async function flush(): Promise<void> {
    if (batch.length === 0) return
    const columns = Object.keys(batch[0]!).join(', ')
    const text = `INSERT INTO "${table}" (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::"${table}", $1::json) ON CONFLICT DO NOTHING`
    const values = [JSON.stringify(batch)]
    await lane.transaction((tx) => tx.query(text, values))
    rows += batch.length
    onProgress(rows)
    batch = []
    bytes = 0
  }
  for (const row of source.rows(table, await lastOf(lane, table))) {
    batch.push(converted(row))
    bytes += sizeOf(row)
    if (batch.length >= MAX_ROWS || bytes >= MAX_BYTES) await flush()
  }
  await flush()
}

async function lastOf(lane: Lane, table: string): Promise<number> {
  const number = NUMBERED[table]
  if (!number) return 0
  const [row] = await lane.transaction((tx) =>
    tx.query<{ last: number }>(`SELECT coalesce(max(${number}), 0) AS last FROM "${table}"`, []),
  )
  return row!.last
}

async function compared<Table extends string>(lane: Lane, source: Source<Table>, table: Table): Promise<number> {
  const [row] = await lane.transaction((tx) => tx.query<{ n: number }>(`SELECT count(*) AS n FROM "${table}"`, []))
  const expected = source.count(table)
  if (row!.n !== expected)
    throw new DatabaseRefused(
      `${row!.n} of ${expected} rows of ${table} have arrived: run the move again, with all services stopped`,
    )
  return expected
}

async function finish<Table extends string>(lane: Lane, source: Source<Table>): Promise<void> {
  const counters = source.counters()
  const verified = [...counters].filter(([name]) => name.startsWith('last_verified_at'))
  await lane.transaction((tx) =>
    tx.commit([
      ...[...COUNT_ALL, ...NEXT_NUMBERS].map((text) => ({ text, values: [] })),
      {
        text: 'INSERT INTO counter (name, source, value) SELECT name, 0, value FROM unnest($1::text[], $2::bigint[]) AS c (name, value)',
        values: [verified.map(([name]) => storable(name)), verified.map(([, value]) => value)],
      },
      // A claim's token is higher than every earlier one of its job, wherever that was made.
      { text: `SELECT setval('claim_token', $1::bigint)`, values: [Math.max(counters.get('token') ?? 0, 1)] },
      { text: `DELETE FROM counter WHERE name = 'moving'`, values: [] },
    ]),
  )
}

function converted(row: MovedRow): object {
  const entries = Object.entries(row).filter(([name]) => !COMPUTED.has(name))
  return Object.fromEntries(entries.map(([name, value]) => [name, convertedValue(name, value)]))
}

function convertedValue(name: string, value: Value): unknown {
  if (BOOLEANS.has(name)) return value === 1
  if (typeof value === 'string') return storable(value)
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value
}

function sizeOf(row: MovedRow): number {
  return Object.values(row).reduce<number>((sum, value) => sum + (value instanceof Uint8Array ? value.length : 16), 0)
}
