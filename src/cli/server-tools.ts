import type { PostgresConfig } from '../settings/stores.ts'

/** A server's database is copied by the server's own tools. */
const HOW = {
  pg_dump: 'pg_dump --format=custom --schema=reducto_receiver --file=FILE "$DATABASE_URL"',
  pg_restore: 'pg_restore --clean --if-exists --dbname="$DATABASE_URL" FILE, with all services stopped',
} as const

/** What to use instead of `backup` and `restore`, which copy a file. */
export function withServerTools(tool: keyof typeof HOW, { location }: PostgresConfig): string {
  return `${location} is a database server, which has tools of its own for this: ${HOW[tool]}`
}
