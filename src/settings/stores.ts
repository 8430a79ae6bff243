import { whyNothingIsKept } from '../permissions.ts'
import { withoutTilde } from './parsers.ts'
import { webUrl } from './urls.ts'

/** Where deliveries and jobs are kept. */
export type DatabaseConfig = SqliteConfig | PostgresConfig
type SqliteConfig = { readonly kind: 'sqlite'; readonly path: string }
/** `url`: with its password. `location`: without, for people. */
export type PostgresConfig = { readonly kind: 'postgres'; readonly url: string; readonly location: string }

/** Where results are kept. */
export type ResultsConfig =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 's3'
      readonly bucket: string
      /** Without leading or trailing slashes; empty for none. */
      readonly prefix: string
      readonly region: string | null
      readonly endpoint: string | null
    }

/** The folder or bucket of a results setting, for people. */
export function describeResultsLocation(results: ResultsConfig): string {
  return results.kind === 'file' ? results.path : `s3://${[results.bucket, results.prefix].filter(Boolean).join('/')}`
}

/** The file or server of a database setting, for people. */
export function describeDatabase(database: DatabaseConfig): string {
  return database.kind === 'sqlite' ? database.path : database.location
}

export function databaseUrl(text: string): DatabaseConfig {
  if (/^postgres(ql)?:/i.test(text)) return postgresUrl(text)
  const path = pathAfter('sqlite:', text, './data/receiver.db')
  if (path.startsWith(':')) throw new Error('must name a file: a database in memory would lose what was acknowledged')
  if (path.endsWith('/')) throw new Error('must name a file, not a folder: sqlite:./data/receiver.db')
  return { kind: 'sqlite', path }
}

const TLS_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']
/** What may stand after the `?`, as libpq names it. Others would be silently left out. */
const POSTGRES_OPTIONS = ['host', 'port', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'application_name']
const POSTGRES_EXAMPLE = 'postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full'

/** Nothing of the text is repeated in a message: a password may stand anywhere in a URL that is not one. */
function postgresUrl(text: string): PostgresConfig {
  // A socket of this machine has no host: WHATWG's URL knows no such thing.
  const parts = /^postgres(?:ql)?:\/\/(?:[^@/?#]*@)?([^@/?#]*)\/([^/?#]+)(?:\?([^#]*))?$/i.exec(text)
  if (!parts)
    throw new Error(`must be ${POSTGRES_EXAMPLE}, with %40, %2F and so on for such characters in the password`)
  const [, host = '', database = '', query = ''] = parts
  const options = new URLSearchParams(query)
  const unknown = [...options.keys()].find((name) => !POSTGRES_OPTIONS.includes(name))
  if (unknown !== undefined) throw new Error(`accepts ${POSTGRES_OPTIONS.join(', ')} after the ?, and nothing else`)
  if (host === '' && !options.get('host')) throw new Error(`must name a host: ${POSTGRES_EXAMPLE}`)
  if (/\s/.test(text)) throw new Error('must be without spaces (write %20)')
  const mode = options.get('sslmode')
  if (mode !== null && !TLS_MODES.includes(mode)) throw new Error(`must have one of ${TLS_MODES.join(', ')} as sslmode`)
  if (mode === 'verify-ca' && !options.get('sslrootcert'))
    throw new Error('must name the certificates that sslmode=verify-ca verifies with: sslrootcert=FILE')
  return { kind: 'postgres', url: text, location: `postgres://${host || options.get('host')}/${database}` }
}

/** The parts of DATABASE_URL that must not leave the process: those of a server's password. */
export function databaseSecrets(text: string): readonly string[] {
  const password = /^postgres(?:ql)?:\/\/[^:@/?#]*:([^@]*)@/i.exec(text)?.[1]
  if (!password) return []
  return [...new Set([password, decoded(password)])]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function resultsUrl(text: string): ResultsConfig {
  if (text.startsWith('s3:')) return bucketUrl(text)
  if (!text.startsWith('file:'))
    throw new Error('must be file:PATH or s3://BUCKET/PREFIX?region=REGION, for example file:./data/results')
  return { kind: 'file', path: pathAfter('file:', text, './data/results') }
}

/** Text that looks like a part of a URL would become part of a file's name. */
function pathAfter(scheme: string, text: string, example: string): string {
  const path = text.startsWith(scheme) ? text.slice(scheme.length) : ''
  if (path === '' || path.startsWith('//')) throw new Error(`must be ${scheme}PATH, for example ${scheme}${example}`)
  if (/^["'`]|["'`]$/.test(path)) throw new Error('must be without quotes')
  if (path !== path.trim()) throw new Error('must be without leading or trailing spaces')
  if (/[?#]/.test(path))
    throw new Error(`must be without options or a comment (? or #) after the path: ${scheme}${example}`)
  const why = whyNothingIsKept(withoutTilde(path))
  if (why) throw new Error(why)
  return path
}

const S3_OPTIONS = ['region', 'endpoint']

function bucketUrl(text: string): ResultsConfig {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname) || url.port)
    throw new Error('must name a bucket: s3://BUCKET/PREFIX?region=REGION')
  if (url.username || url.password)
    throw new Error('must be without credentials: they come from the usual AWS sources (AWS_ACCESS_KEY_ID, a role, …)')
  if (url.hash) throw new Error('must be without a fragment (#)')
  if (/\s/.test(text)) throw new Error('must be without spaces (write %20)')
  const unknown = [...url.searchParams.keys()].find((name) => !S3_OPTIONS.includes(name))
  if (unknown !== undefined) throw new Error(`accepts region and endpoint after the ?, not ${unknown}`)
  const region = url.searchParams.get('region')
  if (region !== null && !/^[a-z0-9-]+$/i.test(region)) throw new Error('must have a region such as eu-central-1')
  const endpoint = url.searchParams.get('endpoint')
  return {
    kind: 's3',
    bucket: url.hostname,
    prefix: prefixOf(text),
    region,
    endpoint: endpoint === null ? null : webUrl(endpoint),
  }
}

/**
 * Accepts only a prefix that every program on the way to the bucket reads alike: `URL` and many proxies resolve `.` and
 * `..`, join slashes, convert backslashes, and decode escapes again.
 */
function prefixOf(text: string): string {
  const path = /^s3:\/\/[^/?#]*\/?([^?#]*)/.exec(text)?.[1] ?? ''
  if (path.includes('\\')) throw new Error('must have a prefix without a backslash: separate its parts with /')
  const prefix = path.replace(/\/$/, '').replaceAll('%20', ' ')
  if (prefix.includes('%'))
    throw new Error('must have a prefix without escapes other than %20 for a space: write the characters themselves')
  if (prefix === '' && path === '') return ''
  const parts = prefix.split('/')
  if (parts.includes('')) throw new Error('must have a prefix without an empty part: write one / between two parts')
  if (parts.some((part) => part === '.' || part === '..'))
    throw new Error('must have a prefix without . and .. as parts: write the resolved path')
  return prefix
}
