import { createHash } from 'node:crypto'
import type pg from 'pg'
import { DatabaseRefused } from '../inbox.ts'
import { connect, discard, type PostgresPlace, SCHEMA } from './connect.ts'
import { sqlState } from './errors.ts'
import { MIGRATIONS } from './schema.ts'

/** A wait for the lock of another replica's migration ends after this time, ms; then it is tried again. */
const LOCK_TIMEOUT_MS = 5_000
const MAX_LOCK_TRIES = 60

export type MigrateOptions = PostgresPlace & {
  /** Create and upgrade; without, the schema must be there. */
  readonly migrate: boolean
  /** For a move, which fills the schema; services wait for its end. */
  readonly isMove?: boolean
  /** Accepts a server that does not keep what it has committed: for tests. */
  readonly insist?: boolean
  /** An answer to a question that does not come within this time ends it, ms. */
  readonly answerTimeout?: number
}

/** Longest time for one migration, ms: a large table may be changed. */
const MAX_MIGRATION_MS = 3_600_000

/**
 * Makes the schema, or brings it up to date; safe when ten replicas start at once. Checks that the server keeps what it
 * commits.
 * @throws DatabaseRefused
 */
export async function prepareSchema(options: MigrateOptions): Promise<void> {
  const schema = options.schema ?? SCHEMA
  const client = await connect({ ...options, name: 'start' })
  const query: Query = async (text, values = [], longest) =>
    (await client.query({ text, values, ...(longest ? { query_timeout: longest } : {}) } as pg.QueryConfig)).rows
  try {
    if (!options.insist) await checkServer(query)
    if (!options.migrate) return checkVersion(await versionOf(query, schema), schema)
    for (let tries = 1; ; tries++) {
      try {
        await migrate(query, schema)
        break
      } catch (error) {
        await query('ROLLBACK').catch(() => {})
        if (sqlState(error) !== '55P03' || tries >= MAX_LOCK_TRIES) throw refusalOf(error, schema)
      }
    }
    if (!options.isMove) await refuseHalfMoved(query, schema)
  } finally {
    discard(client)
  }
}

/** `longest`: how long the answer may take, ms. */
type Query = (text: string, values?: unknown[], longest?: number) => Promise<{ [column: string]: unknown }[]>
type Version = { readonly version: number; readonly needs: number }

async function checkServer(query: Query): Promise<void> {
  const [row] = await query(
    `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages, current_setting('server_version_num')::int AS version`,
  )
  const { fsync, pages, version } = row as { fsync: string; pages: string; version: number }
  if (fsync === 'off' || pages === 'off')
    throw new DatabaseRefused(
      `the PostgreSQL server runs with ${fsync === 'off' ? 'fsync' : 'full_page_writes'} = off: acknowledged deliveries would be lost with its power; turn it on`,
    )
  if (version < 130_000) throw new DatabaseRefused('the PostgreSQL server is older than version 13: upgrade it')
}

async function migrate(query: Query, schema: string): Promise<void> {
  // Whatever the role has for a default: a snapshot from before the lock would not show what another replica has made.
  await query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
  await query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = 0`)
  await query('SELECT pg_advisory_xact_lock($1)', [lockOf(schema)])
  // IF NOT EXISTS is refused without the right to create, even where the schema exists.
  const [found] = await query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  if (!found) await query(`CREATE SCHEMA "${schema}"`)
  await query(`SET LOCAL search_path TO "${schema}"`)
  const { version, needs } = await versionOf(query, schema)
  checkNeeds({ version, needs }, schema)
  // A role without the right to create may work on what an administrator has brought up to date.
  if (version < MIGRATIONS.length) {
    await query('CREATE TABLE IF NOT EXISTS version (version integer NOT NULL, needs integer NOT NULL)')
    for (const { sql } of MIGRATIONS.slice(version)) await query(sql, [], MAX_MIGRATION_MS)
    await query('DELETE FROM version')
    await query('INSERT INTO version VALUES ($1, $2)', [MIGRATIONS.length, MIGRATIONS.at(-1)!.needs])
  }
  await query('COMMIT')
}

/** An inbox of which a part is still elsewhere would take what it has for new. */
async function refuseHalfMoved(query: Query, schema: string): Promise<void> {
  const [moving] = await query(`SELECT 1 FROM "${schema}".counter WHERE name = 'moving'`)
  if (moving) throw halfMoved(schema)
}

export function halfMoved(schema = SCHEMA): DatabaseRefused {
  return new DatabaseRefused(
    `a move into the schema ${schema} has not ended: run \`move\` again, or drop the schema to begin anew`,
  )
}

async function versionOf(query: Query, schema: string): Promise<Version> {
  const [table] = await query(`SELECT to_regclass($1) IS NOT NULL AS there`, [`"${schema}".version`])
  if (!table!.there) return { version: 0, needs: 0 }
  const [row] = await query(`SELECT version, needs FROM "${schema}".version`)
  return (row as Version | undefined) ?? { version: 0, needs: 0 }
}

/** A newer schema is no hindrance, as long as this version knows enough of it. */
function checkNeeds({ version, needs }: Version, schema: string): void {
  if (needs > MIGRATIONS.length)
    throw new DatabaseRefused(
      `the schema ${schema} has version ${version} and needs a service that knows version ${needs}; this version knows ${MIGRATIONS.length}: run the newer version`,
    )
}

/** A command changes no schema. */
function checkVersion(found: Version, schema: string): void {
  checkNeeds(found, schema)
  if (found.version === 0)
    throw new DatabaseRefused(
      `there is no inbox in the schema ${schema}: has the service run here, with this DATABASE_URL?`,
    )
  if (found.version < MIGRATIONS.length)
    throw new DatabaseRefused(
      `the schema ${schema} has version ${found.version}, this command knows version ${MIGRATIONS.length}: start the service of this version first, which brings it up to date, or use the command of the version that runs it`,
    )
}

/** Rights that are missing need a person. */
function refusalOf(error: unknown, schema: string): unknown {
  if (sqlState(error) !== '42501') return error
  return new DatabaseRefused(
    `the role may not create what the service keeps in the schema ${schema} (${(error as Error).message}): grant it CREATE on the database, or create the schema for it: CREATE SCHEMA ${schema} AUTHORIZATION role`,
  )
}

/** A number for the lock: that of the schema's name. */
function lockOf(schema: string): string {
  return createHash('sha256').update(`reducto-webhook-receiver ${schema}`).digest().readBigInt64BE().toString()
}
