import { createHash } from 'node:crypto'
import pg from 'pg'

/** Where the tables are. `schema`: of their own; a test has one for each case. */
export type PostgresPlace = { readonly url: string; readonly schema?: string }

/** The schema of the service's tables. */
export const SCHEMA = 'reducto_receiver'

/** A connection that is not made within this time counts as failed, ms. */
const CONNECT_TIMEOUT_MS = 5_000
/** An answer that does not come within this time breaks the connection, ms: the server ends statements earlier. */
const ANSWER_TIMEOUT_MS = 20_000
/** An idle connection is probed after this time, ms, so that a network that forgets connections does not. */
const KEEP_ALIVE_MS = 10_000

/** PostgreSQL's number for the type `bigint`: its values here are times, counts and ids, all below 2^53. */
const BIGINT = 20

/** How one connection is made. `answerTimeout`: 0 for statements that may take long, ms. */
export type ConnectOptions = PostgresPlace & { readonly name: string; readonly answerTimeout?: number }

/**
 * Connects to the primary.
 * @throws what `pg` throws, or an error with the code 25006 when the server is a standby.
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const modes = modesToTry(options.url)
  for (const [index, mode] of modes.entries()) {
    try {
      return await connectOnce(options, mode)
    } catch (error) {
      if (index === modes.length - 1 || !isAboutTls(error, mode)) throw error
    }
  }
  throw new Error('no way to connect')
}

/** Whether the other way, with TLS or without, may be the one that the server takes. */
function isAboutTls(error: unknown, mode: TlsMode): boolean {
  if (mode === 'disable') return (error as { code?: unknown }).code === '28000'
  return /does not support SSL/i.test((error as Error).message)
}

async function connectOnce(options: ConnectOptions, mode: TlsMode): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: withMode(options.url, mode),
    application_name: `reducto-webhook-receiver ${options.name}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: options.answerTimeout ?? ANSWER_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    pipeline: true,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  } as pg.ClientConfig)
  // Whoever waits for an answer is told; an idle connection that breaks is made anew.
  client.on('error', () => {})
  try {
    await client.connect()
    await refuseStandby(client)
  } catch (error) {
    discard(client)
    throw error
  }
  return client
}

/** Ends a connection, whatever its state; never throws and is not waited for. */
export function discard(client: pg.Client): void {
  void client.end().catch(() => {})
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}

function parserOf(oid: number, format?: 'text' | 'binary'): unknown {
  return oid === BIGINT ? Number : pg.types.getTypeParser(oid, format)
}

/** `pg` knows no `target_session_attrs`: an address may still lead to what was the primary before a failover. */
async function refuseStandby(client: pg.Client): Promise<void> {
  const { rows } = await client.query('SELECT pg_is_in_recovery() AS standby')
  if (rows[0].standby) throw Object.assign(new Error('the server is a standby: it takes no writes'), { code: '25006' })
}

/**
 * What libpq would do for this URL: `require` encrypts and verifies nothing, `prefer` (which is the default) falls back to
 * an open connection, and `sslrootcert=system` means the certificates that the system trusts.
 */
type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

export function tlsMode(url: string): TlsMode {
  const options = optionsOf(url)
  const mode = (options.get('sslmode') ?? 'prefer') as TlsMode
  const roots = options.get('sslrootcert')
  if (roots === 'system') return 'verify-full'
  return mode === 'require' && roots ? 'verify-ca' : mode
}

/** The modes to try one after another. A socket of this machine has no TLS. */
function modesToTry(url: string): readonly TlsMode[] {
  const mode = tlsMode(url)
  const host = optionsOf(url).get('host')
  if (host?.startsWith('/')) return ['disable']
  if (mode === 'prefer') return ['prefer', 'disable']
  return mode === 'allow' ? ['disable', 'prefer'] : [mode]
}

function withMode(url: string, mode: TlsMode): string {
  const options = optionsOf(url)
  if (options.get('sslrootcert') === 'system') options.delete('sslrootcert')
  options.set('sslmode', mode)
  options.set('uselibpqcompat', 'true')
  return `${url.split('?', 1)[0]}?${options}`
}

function optionsOf(url: string): URLSearchParams {
  return new URLSearchParams(url.split('?').slice(1).join('?'))
}

/** A name for a prepared statement. A pooled server may hold those of another version: the text is part of the name. */
export function statementName(schema: string, text: string): string {
  return `r${createHash('sha1').update(schema).update('\0').update(text).digest('hex').slice(0, 24)}`
}
