import { createScrub } from '../telemetry/scrub.ts'
import { adminPortProblems, adminProblems, alertProblems, hideProblems } from './admin.ts'
import { endpointSlips, endpointsOf } from './endpoints.ts'
import { type Env, type Given, isSecret, readGiven, secretParts } from './given.ts'
import { isInjected, isServiceUrl, nearMiss } from './near-misses.ts'
import type { TrustProxy } from './network.ts'
import { bodyRetentionProblems } from './retention.ts'
import { ENDPOINT_SECRET, SETTING_NAMES, SETTINGS, type SettingName, type SettingValue } from './settings.ts'
import type { DatabaseConfig, ResultsConfig } from './stores.ts'

/** All settings, checked. Durations in ms, sizes in bytes. */
export type Config = {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | null
  /** The proxies that are trusted to report the client's address, in Express's form. */
  readonly trustProxy: TrustProxy
  /** Endpoint name → its signing secrets in any order: `default` is `/webhook`, NAME is `/webhook/NAME`. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>
  readonly directToken: string | null
  /** Who may call the operator's routes; null: nobody, and there are none. */
  readonly admin: AdminTokens | null
  /** Where the operator's routes are served instead of `port`; null: nowhere else. */
  readonly adminPort: number | null
  /** Metadata, bodies and results are not shown to operators. */
  readonly hidesContent: boolean
  /** Where problems are told; null: nowhere but in the log. */
  readonly alerts: { readonly url: string; readonly secrets: readonly string[] } | null
  readonly reducto: { readonly apiKey: string; readonly baseUrl: string }
  readonly database: DatabaseConfig
  readonly results: ResultsConfig
  /** The code that is called with each result: a module, or a service of the user's. */
  readonly handler: HandlerConfig | null
  readonly handlerTimeout: number
  readonly handlerRetryFor: number
  readonly concurrency: number
  readonly fetchRetryFor: number
  /** Between two looks after overdue jobs, ms; null: none. */
  readonly reconcileEvery: number | null
  readonly retention: number
  /** At most `retention`. */
  readonly bodyRetention: number
  readonly resultsRetention: number | null
  readonly maxResultBytes: number
  readonly minFreeDisk: number
  /** `host`, `host:port` or `[address]:port`, normalised as in URLs. */
  readonly allowPrivateHosts: ReadonlySet<string>
  /**
   * URLs of the proxies for https and http, possibly with credentials; `no`: the hosts that bypass them, separated by
   * commas.
   */
  readonly proxy: { readonly https: string | null; readonly http: string | null; readonly no: string }
  readonly shutdownGrace: number
  readonly logLevel: string
  /** All texts that must never leave the process. */
  readonly secrets: readonly string[]
}

/** `read` sees everything and changes nothing. */
type AdminTokens = { readonly write: readonly string[]; readonly read: readonly string[] }

type HandlerConfig =
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'forward'; readonly url: string; readonly secrets: readonly string[] }

/** The environment is not a valid Config. `problems`: one line each, beginning with the setting's name. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/** The platforms of reductoai 0.16.0, as in its `environments`. */
export const REDUCTO_ENVIRONMENTS = {
  production: 'https://platform.reducto.ai',
  eu: 'https://eu.platform.reducto.ai',
  au: 'https://au.platform.reducto.ai',
} as const

type Values<N extends SettingName> = { readonly [K in N]: SettingValue<K> }

/** A part of the Config, the settings it is made from, and the rules between them. */
type Field<T> = {
  readonly settings: readonly SettingName[]
  readonly make: (values: Values<SettingName>) => T
  readonly check: (given: Given) => readonly string[]
}

function from<const N extends SettingName, T>(
  settings: readonly N[],
  make: (values: Values<N>) => T,
  check: Field<T>['check'] = () => [],
): Field<T> {
  return { settings, make, check }
}

const FIELDS: { readonly [K in Exclude<keyof Config, 'endpoints' | 'secrets'>]: Field<Config[K]> } = {
  host: from(['HOST'], (set) => set.HOST),
  port: from(['PORT'], (set) => set.PORT),
  publicUrl: from(['PUBLIC_URL'], (set) => set.PUBLIC_URL ?? null),
  trustProxy: from(['TRUST_PROXY'], (set) => set.TRUST_PROXY),
  directToken: from(['DIRECT_WEBHOOK_TOKEN'], (set) => set.DIRECT_WEBHOOK_TOKEN ?? null),
  admin: from(
    ['ADMIN_TOKEN', 'ADMIN_READ_TOKEN'],
    (set) => (set.ADMIN_TOKEN ? { write: set.ADMIN_TOKEN, read: set.ADMIN_READ_TOKEN ?? [] } : null),
    adminProblems,
  ),
  hidesContent: from(['ADMIN_HIDE_CONTENT'], (set) => set.ADMIN_HIDE_CONTENT === 'on', hideProblems),
  adminPort: from(['ADMIN_PORT'], (set) => set.ADMIN_PORT ?? null, adminPortProblems),
  alerts: from(
    ['ALERT_URL', 'ALERT_SECRET'],
    (set) => (set.ALERT_URL === undefined ? null : { url: set.ALERT_URL, secrets: set.ALERT_SECRET ?? [] }),
    alertProblems,
  ),
  reducto: from(
    ['REDUCTO_API_KEY', 'REDUCTO_BASE_URL', 'REDUCTO_ENVIRONMENT'],
    (set) => ({
      apiKey: set.REDUCTO_API_KEY,
      baseUrl: set.REDUCTO_BASE_URL ?? REDUCTO_ENVIRONMENTS[set.REDUCTO_ENVIRONMENT],
    }),
    (given) =>
      given.REDUCTO_ENVIRONMENT && given.REDUCTO_BASE_URL
        ? ['REDUCTO_BASE_URL: set either this or REDUCTO_ENVIRONMENT, not both']
        : [],
  ),
  database: from(['DATABASE_URL'], (set) => set.DATABASE_URL),
  results: from(['RESULTS_URL'], (set) => set.RESULTS_URL),
  handler: from(['HANDLER', 'FORWARD_URL', 'FORWARD_SECRET', 'PUBLIC_URL'], handlerOf, handlerProblems),
  handlerTimeout: from(['HANDLER_TIMEOUT'], (set) => set.HANDLER_TIMEOUT),
  handlerRetryFor: from(['HANDLER_RETRY_FOR'], (set) => set.HANDLER_RETRY_FOR),
  concurrency: from(['WORKER_CONCURRENCY'], (set) => set.WORKER_CONCURRENCY),
  fetchRetryFor: from(['FETCH_RETRY_FOR'], (set) => set.FETCH_RETRY_FOR),
  reconcileEvery: from(['RECONCILE_EVERY'], (set) => set.RECONCILE_EVERY),
  retention: from(['RETENTION'], (set) => set.RETENTION),
  bodyRetention: from(
    ['BODY_RETENTION', 'RETENTION'],
    (set) => Math.min(set.BODY_RETENTION, set.RETENTION),
    bodyRetentionProblems,
  ),
  resultsRetention: from(['RESULTS_RETENTION'], (set) => set.RESULTS_RETENTION),
  maxResultBytes: from(['MAX_RESULT_BYTES'], (set) => set.MAX_RESULT_BYTES),
  minFreeDisk: from(['MIN_FREE_DISK'], (set) => set.MIN_FREE_DISK),
  allowPrivateHosts: from(['DOWNLOAD_ALLOW_PRIVATE_HOSTS'], (set) => set.DOWNLOAD_ALLOW_PRIVATE_HOSTS),
  proxy: from(['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'], (set) => ({
    https: set.HTTPS_PROXY ?? set.ALL_PROXY ?? null,
    http: set.HTTP_PROXY ?? set.ALL_PROXY ?? null,
    no: set.NO_PROXY,
  })),
  shutdownGrace: from(['SHUTDOWN_GRACE'], (set) => set.SHUTDOWN_GRACE),
  logLevel: from(['LOG_LEVEL'], (set) => set.LOG_LEVEL),
}

const ALL = [...Object.keys(FIELDS), 'endpoints', 'secrets'] as (keyof Config)[]

/**
 * Reads the parts that the caller needs, by default all of them; settings of other parts may be wrong or missing.
 * `secrets` is always present. Empty settings count as unset.
 * @throws SettingsError with all problems
 */
export function loadConfig(env: Env): Config
export function loadConfig<K extends keyof Config>(env: Env, needs: readonly K[]): Pick<Config, K | 'secrets'>
export function loadConfig(env: Env, needs: readonly (keyof Config)[] = ALL): Partial<Config> {
  const problems: string[] = []
  const fields = needs.filter((need) => need !== 'endpoints' && need !== 'secrets')
  const names = new Set(fields.flatMap((field) => FIELDS[field].settings))
  const needsEndpoints = needs.includes('endpoints')
  const wanted = (name: string) =>
    names.has(name as SettingName) || (needsEndpoints && name.startsWith(ENDPOINT_SECRET))

  const given = readGiven(env, wanted, problems)
  const endpoints = needsEndpoints ? endpointsOf(given, problems) : new Map()
  const values = parseSettings(names, given, problems)
  problems.push(...slips(given, [...names], needsEndpoints))
  for (const field of fields) problems.push(...FIELDS[field].check(given))
  if (problems.length > 0) throw new SettingsError([...new Set(problems)])
  const made = fields.map((field) => [field, FIELDS[field].make(values)])
  return Object.freeze({
    ...Object.fromEntries(made),
    ...(needsEndpoints ? { endpoints } : {}),
    secrets: secretsOf(given),
  })
}

function parseSettings(names: ReadonlySet<SettingName>, given: Given, problems: string[]): Values<SettingName> {
  const values: Partial<Record<SettingName, unknown>> = {}
  const scrub = createScrub(secretsOf(given))
  for (const name of SETTING_NAMES.filter((one) => names.has(one))) {
    const { parse, default: standard, required, secret } = SETTINGS[name]
    const text = given[name] ?? standard
    // An empty secret means that its file could not be read, which is reported already.
    if (text === null || (secret && text === '') || isUnused(name, given)) {
      if (text === null && required !== null) problems.push(`${name}: ${required}`)
      continue
    }
    try {
      values[name] = parse(text)
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}${secret ? '' : shown(text, scrub)}${cure(text)}`)
    }
  }
  return values as Values<SettingName>
}

/** Desktops set ALL_PROXY to a SOCKS proxy beside HTTP proxies for both schemes: then it is unused and not checked. */
function isUnused(name: SettingName, given: Given): boolean {
  return name === 'ALL_PROXY' && Boolean(given.HTTPS_PROXY && given.HTTP_PROXY)
}

/** The given text, as far as it may be shown: it can contain a password in an unexpected position. */
function shown(text: string, scrub: (text: string, longest?: number) => string): string {
  const harmless = text.replace(/^.*@/s, '…@').replace(/\?.*$/s, '?…')
  return `; given: ${JSON.stringify(scrub(harmless, 80))}`
}

function cure(text: string): string {
  if (!isServiceUrl(text)) return ''
  return ' (Kubernetes sets this for a Service of that name: rename the Service, or set enableServiceLinks: false)'
}

/** Names that resemble a setting's. Names that Kubernetes sets for Services, and all others, are not typing errors. */
function slips(given: Given, names: readonly SettingName[], endpoints: boolean): string[] {
  const ours = names.flatMap((name) => (isSecret(name) ? [name, `${name}_FILE`] : [name]))
  const small = names.flatMap((name) => (SETTINGS[name].shared ? [name.toLowerCase()] : []))
  const messages = endpoints ? endpointSlips(given) : new Map<string, string>()
  for (const [name, value] of Object.entries(given)) {
    if (
      messages.has(name) ||
      small.includes(name as Lowercase<SettingName>) ||
      isKnown(name) ||
      isInjected(name, value)
    )
      continue
    const meant = nearMiss(name, ours)
    if (meant !== null) messages.set(name, `${name}: is not a setting; did you mean ${meant}?`)
  }
  return [...messages.values()]
}

/** Includes parts that are not needed now: HTTP_PROXY is not a misspelt HTTPS_PROXY. */
function isKnown(name: string): boolean {
  return Object.hasOwn(SETTINGS, name) || name.startsWith(ENDPOINT_SECRET)
}

function handlerProblems({ HANDLER, FORWARD_URL, FORWARD_SECRET, PUBLIC_URL }: Given): string[] {
  const problems: string[] = []
  if (HANDLER && FORWARD_URL) problems.push('FORWARD_URL: set either this or HANDLER, not both')
  if (FORWARD_URL && FORWARD_SECRET === undefined)
    problems.push(
      'FORWARD_SECRET: is required with FORWARD_URL; create one with: echo "whsec_$(openssl rand -base64 24)"',
    )
  if (FORWARD_SECRET && !FORWARD_URL) problems.push('FORWARD_URL: is required with FORWARD_SECRET')
  if (FORWARD_URL && !PUBLIC_URL)
    problems.push('PUBLIC_URL: is required with FORWARD_URL: the links to saved files begin with it')
  return problems
}

function handlerOf(set: Values<'HANDLER' | 'FORWARD_URL' | 'FORWARD_SECRET'>): HandlerConfig | null {
  if (set.HANDLER !== undefined) return { kind: 'module', path: set.HANDLER }
  if (set.FORWARD_URL === undefined) return null
  return { kind: 'forward', url: set.FORWARD_URL, secrets: set.FORWARD_SECRET ?? [] }
}

/** Secrets that the AWS SDK reads from the environment. */
const AWS_SECRETS = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_CONTAINER_AUTHORIZATION_TOKEN']

function secretsOf(given: Given): readonly string[] {
  const own = Object.entries(given).flatMap(([name, value]) => (isSecret(name) ? secretParts(name, value) : []))
  return [...new Set([...own, ...AWS_SECRETS.flatMap((name) => given[name] ?? [])])]
}
