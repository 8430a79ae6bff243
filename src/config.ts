import { existsSync, readFileSync } from 'node:fs'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { parseBytes, parseDuration } from './units.ts'

/** Everything that can be set, checked. Durations in ms, sizes in bytes. */
export type Config = {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | null
  /** Endpoint name → its signing secrets, the newest wherever it is: `default` is `/webhook`, NAME `/webhook/NAME`. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>
  readonly directToken: string | null
  readonly reducto: { readonly apiKey: string; readonly baseUrl: string }
  readonly database: { readonly kind: 'sqlite'; readonly path: string }
  readonly results: ResultsConfig
  /** What is called with each result: a module, or a service of the user's. */
  readonly handler:
    | { readonly kind: 'module'; readonly path: string }
    | { readonly kind: 'forward'; readonly url: string; readonly secrets: readonly string[] }
    | null
  readonly handlerTimeout: number
  readonly handlerRetryFor: number
  readonly concurrency: number
  readonly fetchRetryFor: number
  readonly retention: number
  readonly resultsRetention: number | null
  readonly maxResultBytes: number
  readonly minFreeDisk: number
  readonly allowPrivateHosts: ReadonlySet<string>
  readonly shutdownGrace: number
  readonly logLevel: string
  /** Everything that must never leave the process. */
  readonly secrets: readonly string[]
}

/** The folder or bucket of a results setting, for people. */
export function resultsPlace(results: ResultsConfig): string {
  return results.kind === 'file' ? results.path : `s3://${[results.bucket, results.prefix].filter(Boolean).join('/')}`
}

export type ResultsConfig =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 's3'
      readonly bucket: string
      /** Without slashes at its ends; empty for none. */
      readonly prefix: string
      readonly region: string | null
      readonly endpoint: string | null
    }

/** The environment does not make a valid Config. `problems`: one line each, the setting's name first. */
export class SettingsError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'SettingsError'
    this.problems = problems
  }
}

type Env = Readonly<Record<string, string | undefined>>

/** The platforms of reductoai 0.16.0, as in its `environments`. */
const REDUCTO_ENVIRONMENTS = {
  production: 'https://platform.reducto.ai',
  eu: 'https://eu.platform.reducto.ai',
  au: 'https://au.platform.reducto.ai',
} as const

/** Svix replays for up to 90 days, so an id must be remembered at least as long. */
const LEAST_RETENTION = parseDuration('90d')

/** An orchestrator kills long before. */
const LONGEST_GRACE = parseDuration('1h')

const ENDPOINT_SECRET = /^SVIX_WEBHOOK_SECRET(?:_(.+))?$/
const RESERVED_NAMES: ReadonlySet<string> = new Set(['FILE', 'DEFAULT', 'DIRECT'])

/** The process's environment, with `.env` for what it does not set. Also takes away what must not reach a library. */
export function environment(): Env {
  if (existsSync('.env')) process.loadEnvFile('.env')
  // With DEBUG set, the Reducto SDK prints bodies and the API key.
  delete process.env.DEBUG
  return process.env
}

/** Without `.env`: for the demo, whose simulated jobs must not reach what real ones are for. */
export function shellEnvironment(): Env {
  delete process.env.DEBUG
  return process.env
}

/** Throws a SettingsError with every problem there is. Empty settings count as unset. */
export function loadConfig(env: Env): Config {
  const problems: string[] = []
  const given = withSecretFiles(env, problems)
  const endpoints = endpointSecrets(given, problems)
  const parsed = settings.safeParse(given)
  for (const issue of parsed.error?.issues ?? []) problems.push(`${issue.path.join('.')}: ${issue.message}`)
  if (given.REDUCTO_ENVIRONMENT && given.REDUCTO_BASE_URL)
    problems.push('REDUCTO_BASE_URL: set either this or REDUCTO_ENVIRONMENT, not both')
  checkHandler(given, problems)
  if (problems.length > 0 || !parsed.success) throw new SettingsError(problems)
  const set = parsed.data
  return Object.freeze({
    host: set.HOST,
    port: set.PORT,
    publicUrl: set.PUBLIC_URL ?? null,
    endpoints,
    directToken: set.DIRECT_WEBHOOK_TOKEN ?? null,
    reducto: {
      apiKey: set.REDUCTO_API_KEY,
      baseUrl: set.REDUCTO_BASE_URL ?? REDUCTO_ENVIRONMENTS[set.REDUCTO_ENVIRONMENT],
    },
    database: set.DATABASE_URL,
    results: set.RESULTS_URL,
    handler: handlerOf(set),
    handlerTimeout: set.HANDLER_TIMEOUT,
    handlerRetryFor: set.HANDLER_RETRY_FOR,
    concurrency: set.WORKER_CONCURRENCY,
    fetchRetryFor: set.FETCH_RETRY_FOR,
    retention: set.RETENTION,
    resultsRetention: set.RESULTS_RETENTION,
    maxResultBytes: set.MAX_RESULT_BYTES,
    minFreeDisk: set.MIN_FREE_DISK,
    allowPrivateHosts: set.DOWNLOAD_ALLOW_PRIVATE_HOSTS,
    shutdownGrace: set.SHUTDOWN_GRACE,
    logLevel: set.LOG_LEVEL,
    secrets: secretsOf(given, endpoints),
  })
}

function checkHandler(given: Env, problems: string[]): void {
  const { HANDLER, FORWARD_URL, FORWARD_SECRET, PUBLIC_URL } = given
  const known = ['HANDLER', 'HANDLER_TIMEOUT', 'HANDLER_RETRY_FOR', 'FORWARD_URL', 'FORWARD_SECRET']
  for (const name of Object.keys(given))
    if (/^(HANDLER|FORWARD)_/.test(name) && !known.includes(name)) problems.push(`${name}: is no setting`)
  if (HANDLER && FORWARD_URL) problems.push('FORWARD_URL: set either this or HANDLER, not both')
  if (FORWARD_URL && !FORWARD_SECRET)
    problems.push(
      'FORWARD_SECRET: is required with FORWARD_URL; make one with: echo "whsec_$(openssl rand -base64 24)"',
    )
  if (FORWARD_SECRET && !FORWARD_URL) problems.push('FORWARD_URL: is required with FORWARD_SECRET')
  if (FORWARD_URL && !PUBLIC_URL)
    problems.push('PUBLIC_URL: is required with FORWARD_URL: the links to saved files begin with it')
}

function handlerOf(set: z.infer<typeof settings>): Config['handler'] {
  if (set.HANDLER !== undefined) return { kind: 'module', path: set.HANDLER }
  if (set.FORWARD_URL === undefined) return null
  return { kind: 'forward', url: set.FORWARD_URL, secrets: set.FORWARD_SECRET ?? [] }
}

/** Also those that the AWS SDK reads by itself. */
function secretsOf(given: Env, endpoints: Config['endpoints']): readonly string[] {
  const names = ['REDUCTO_API_KEY', 'DIRECT_WEBHOOK_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']
  const single = names.flatMap((name) => given[name] ?? [])
  return [...single, ...[...endpoints.values()].flat(), ...separated(given.FORWARD_SECRET ?? '')]
}

function separated(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== '')
}

/** A setting that `parse` reads; what it throws is the problem's text. */
function setting<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  })
}

const duration = setting(parseDuration)
const size = setting(parseBytes)

const settings = z.object({
  HOST: z.string().default('0.0.0.0'),
  PORT: setting((text) => wholeNumber(text, 0, 65_535)).default(3000),
  PUBLIC_URL: setting((text) => webUrl(text)).optional(),
  DIRECT_WEBHOOK_TOKEN: z
    .string()
    .regex(
      /^[A-Za-z0-9_~.-]{24,}$/,
      'must be at least 24 characters of A-Z a-z 0-9 - _ . ~ (try: openssl rand -hex 24)',
    )
    .optional(),
  REDUCTO_API_KEY: setting(apiKey).prefault(''),
  REDUCTO_ENVIRONMENT: z
    .enum(['production', 'eu', 'au'], 'must be production, eu or au (for another address use REDUCTO_BASE_URL)')
    .default('production'),
  REDUCTO_BASE_URL: setting((text) => webUrl(text)).optional(),
  DATABASE_URL: setting((text) => ({
    kind: 'sqlite' as const,
    path: after(text, 'sqlite:', './data/receiver.db'),
  })).prefault('sqlite:./data/receiver.db'),
  RESULTS_URL: setting(resultsUrl).prefault('file:./data/results'),
  HANDLER: z.string().optional(),
  FORWARD_URL: setting((text) => webUrl(text, { query: true })).optional(),
  FORWARD_SECRET: setting(forwardSecrets).optional(),
  HANDLER_TIMEOUT: setting(handlerTimeout).prefault('60s'),
  HANDLER_RETRY_FOR: duration.prefault('7d'),
  WORKER_CONCURRENCY: setting((text) => wholeNumber(text, 0, 256)).default(8),
  FETCH_RETRY_FOR: duration.prefault('12h'),
  RETENTION: setting(retention).prefault('100d'),
  RESULTS_RETENTION: setting((text) => (text === 'forever' ? null : parseDuration(text))).prefault('forever'),
  MAX_RESULT_BYTES: size.prefault('10gb'),
  MIN_FREE_DISK: size.prefault('256mb'),
  DOWNLOAD_ALLOW_PRIVATE_HOSTS: setting(hostNames).prefault(''),
  SHUTDOWN_GRACE: setting(shutdownGrace).prefault('8s'),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
})

/** The secrets that may come from a file named by NAME_FILE (Docker and Kubernetes mount secrets as files). */
function isSecret(name: string): boolean {
  const others = ['REDUCTO_API_KEY', 'DIRECT_WEBHOOK_TOKEN', 'FORWARD_SECRET']
  return name.startsWith('SVIX_WEBHOOK_SECRET') || others.includes(name)
}

function withSecretFiles(env: Env, problems: string[]): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) if (value !== undefined && value !== '') given[name] = value
  for (const [name, path] of Object.entries(given)) {
    const target = name.replace(/_FILE$/, '')
    if (target === name || !isSecret(target)) continue
    if (given[target] !== undefined) problems.push(`${name}: set either this or ${target}, not both`)
    else {
      try {
        given[target] = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
      } catch (error) {
        problems.push(`${name}: the file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
      }
    }
    delete given[name]
  }
  return given
}

function endpointSecrets(given: Record<string, string>, problems: string[]): Map<string, readonly string[]> {
  const endpoints = new Map<string, readonly string[]>()
  for (const [setting, value] of Object.entries(given)) {
    if (!setting.startsWith('SVIX_WEBHOOK_SECRET')) continue
    const match = ENDPOINT_SECRET.exec(setting)
    const name = match?.[1]
    if (!match || (name !== undefined && (!/^[A-Z0-9]+$/.test(name) || RESERVED_NAMES.has(name)))) {
      problems.push(
        `${setting}: is no setting; SVIX_WEBHOOK_SECRET_<NAME> has a name of A-Z and 0-9, and not FILE, DEFAULT or DIRECT`,
      )
      continue
    }
    const secrets = separated(value)
    for (const secret of secrets) {
      const wrong = secretProblem(secret)
      if (wrong) problems.push(`${setting}: ${wrong}; copy the signing secret of this endpoint from the Svix dashboard`)
    }
    if (secrets.length === 0) problems.push(`${setting}: holds no secret`)
    endpoints.set(name?.toLowerCase() ?? 'default', secrets)
  }
  const meant = Object.keys(given).some((name) => name.startsWith('SVIX_WEBHOOK_SECRET'))
  if (endpoints.size === 0 && !meant)
    problems.push(
      'SVIX_WEBHOOK_SECRET: is required; copy the signing secret (whsec_…) of your endpoint from the Svix dashboard',
    )
  return endpoints
}

/**
 * Svix's library accepts secrets after which nothing verifies (stray characters make another key) or that are far too
 * weak, so they are checked here: the standard demands 24 to 64 bytes, Svix makes up to 75.
 */
function secretProblem(secret: string): string | null {
  if (/["'`]/.test(secret)) return 'must be without quotes'
  if (!secret.startsWith('whsec_')) return 'must begin with whsec_'
  const base64 = secret.slice('whsec_'.length)
  const key = Buffer.from(base64, 'base64')
  if (key.toString('base64') !== base64) return 'is not canonical base64 after whsec_ (cut off, or stray characters?)'
  if (key.length < 24 || key.length > 75) return `has a key of ${key.length} bytes, where 24 to 75 are expected`
  return null
}

function forwardSecrets(text: string): readonly string[] {
  const secrets = separated(text)
  const wrong = secrets.map(secretProblem).find((problem) => problem !== null)
  if (wrong) throw new Error(`${wrong}; make one with: echo "whsec_$(openssl rand -base64 24)"`)
  return secrets
}

function resultsUrl(text: string): ResultsConfig {
  if (!text.startsWith('s3:')) {
    if (!text.startsWith('file:'))
      throw new Error('must be file:PATH or s3://BUCKET/PREFIX?region=REGION, for example file:./data/results')
    return { kind: 'file', path: after(text, 'file:', './data/results') }
  }
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname) || url.port)
    throw new Error('must name a bucket: s3://BUCKET/PREFIX?region=REGION')
  if (url.username || url.password)
    throw new Error('must be without credentials: they are taken the AWS way (AWS_ACCESS_KEY_ID, a role, …)')
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'region' && name !== 'endpoint')
  if (unknown !== undefined) throw new Error(`knows region and endpoint behind the ?, not ${unknown}`)
  const endpoint = url.searchParams.get('endpoint')
  return {
    kind: 's3',
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    region: url.searchParams.get('region'),
    endpoint: endpoint === null ? null : webUrl(endpoint),
  }
}

function apiKey(text: string): string {
  if (text === '')
    throw new Error('is required; make a key in Reducto Studio (https://studio.reducto.ai) under API Keys')
  if (!/^[\x21-\x7e]+$/.test(text) || /["'`]/.test(text))
    throw new Error('must be without spaces, quotes and line breaks')
  return text
}

function wholeNumber(text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new Error(`must be a whole number from ${least} to ${most}`)
  return value
}

function retention(text: string): number {
  const ms = parseDuration(text)
  if (ms < LEAST_RETENTION) throw new Error('must be at least 90d: Svix can replay a delivery for that long')
  return ms
}

function handlerTimeout(text: string): number {
  const ms = parseDuration(text)
  // Node's fetch gives up by itself after five minutes without an answer.
  if (ms < 1_000 || ms > 300_000) throw new Error('must be from 1s to 5m')
  return ms
}

function shutdownGrace(text: string): number {
  const ms = parseDuration(text)
  if (ms > LONGEST_GRACE) throw new Error('must be at most 1h')
  return ms
}

function after(text: string, scheme: string, example: string): string {
  const path = text.startsWith(scheme) ? text.slice(scheme.length) : ''
  if (path === '' || path.startsWith('//')) throw new Error(`must be ${scheme}PATH, for example ${scheme}${example}`)
  return path
}

function hostNames(text: string): ReadonlySet<string> {
  const names = separated(text).map((host) => host.toLowerCase().replace(/^\[|\]$/g, ''))
  const wrong = names.find((name) => !ipaddr.isValid(name) && !/^[a-z0-9_.-]+$/.test(name))
  if (wrong !== undefined) throw new Error('must be host names or addresses, without scheme, port and user name')
  // Addresses in the one form that the URL parser gives them.
  return new Set(names.map((name) => (ipaddr.isValid(name) ? ipaddr.parse(name).toString() : name)))
}

/** An http(s) URL, without its last slash unless a query is allowed. http only where nobody else can listen in. */
function webUrl(text: string, { query = false } = {}): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw new Error('must be a URL that begins with https://')
  if (url.username || url.password || url.hash || (url.search && !query))
    throw new Error(`must be without user name, password${query ? '' : ', query'} and fragment`)
  if (url.protocol === 'http:' && !isPrivateHost(url.hostname))
    throw new Error('must be https:// (http:// is for loopback and private hosts)')
  return query ? url.href : url.href.replace(/\/+$/, '')
}

/** Loopback, private address, or a name that only a private network resolves. */
function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (ipaddr.isValid(host))
    return ['loopback', 'private', 'uniqueLocal', 'carrierGradeNat'].includes(ipaddr.process(host).range())
  return !host.includes('.') || /\.(localhost|local|internal|lan|home\.arpa)$/.test(host)
}
