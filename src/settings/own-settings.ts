import { type Config, loadConfig, SettingsError } from './config.ts'
import type { Env } from './given.ts'
import type { ENDPOINT_SECRET, SettingName } from './settings.ts'
import { SETTINGS } from './settings.ts'

/** Settings of a server and a process; an app that mounts the receiver has its own. */
const OF_THE_SERVICE = ['HOST', 'PORT', 'ADMIN_PORT', 'TRUST_PROXY', 'LOG_LEVEL'] as const
type OfTheService = (typeof OF_THE_SERVICE)[number]

type SecretName = Extract<
  SettingName,
  `${string}_KEY` | `${string}_SECRET` | `${string}_TOKEN` | 'HTTPS_PROXY' | 'HTTP_PROXY' | 'ALERT_URL' | 'DATABASE_URL'
>
type EndpointName = typeof ENDPOINT_SECRET | `${typeof ENDPOINT_SECRET}_${string}`
type OwnName = Exclude<SettingName, OfTheService> | `${SecretName}_FILE` | EndpointName

/**
 * Settings by their environment names, written as in the environment: `{ WORKER_CONCURRENCY: 4, RETENTION: '100d' }`.
 * An undefined or empty value is not set.
 */
export type OwnSettings = { readonly [N in OwnName]?: string | number | boolean | undefined }

/** The part of the Config that a receiver in an app needs. */
export type OwnConfig = Omit<Config, 'host' | 'port' | 'adminPort' | 'trustProxy' | 'logLevel'>

/** All members: a part of the Config that is added later does not compile without a decision. */
const NEEDS: Readonly<Record<keyof OwnConfig, true>> = {
  publicUrl: true,
  endpoints: true,
  directToken: true,
  admin: true,
  hidesContent: true,
  alerts: true,
  reducto: true,
  database: true,
  results: true,
  handler: true,
  handlerTimeout: true,
  handlerRetryFor: true,
  concurrency: true,
  fetchRetryFor: true,
  reconcileEvery: true,
  retention: true,
  bodyRetention: true,
  resultsRetention: true,
  maxResultBytes: true,
  minFreeDisk: true,
  allowPrivateHosts: true,
  proxy: true,
  shutdownGrace: true,
  secrets: true,
}

/**
 * Reads an app's settings, which take precedence over those of an environment that it passes; never reads the process's
 * own. In the app's settings every name must be a setting; an environment holds other programs' names too. `problems`:
 * problems found elsewhere.
 * @throws SettingsError with all problems
 */
export function loadOwnConfig(own: OwnSettings, environment: Env, problems: readonly string[] = []): OwnConfig {
  const given = Object.entries(own as Readonly<Record<string, unknown>>).filter(
    ([, value]) => value !== undefined && value !== '',
  )
  const around = without(environment, new Set(given.map(([name]) => stemOf(name))))
  const wrong = new Map([...problemsOf(around, environmentProblem), ...problemsOf(given, problemOf)])
  const texts = [...around, ...given].filter(([, value]) => isText(value)).map(([name, value]) => [name, String(value)])
  const { config, invalid } = load(Object.fromEntries(texts))
  if (config && wrong.size === 0 && problems.length === 0) return config

  // A name that resembles a setting is reported with that setting. For a value that is not text, only that is reported.
  const slips = new Set(invalid.map(nameIn).filter((name) => wrong.get(name) === UNKNOWN))
  throw new SettingsError([
    ...problems,
    ...[...wrong].filter(([name]) => !slips.has(name)).map(([name, problem]) => `${name}: ${problem}`),
    ...invalid.filter((problem) => slips.has(nameIn(problem)) || !wrong.has(nameIn(problem))),
  ])
}

function load(env: Env): { readonly config?: OwnConfig; readonly invalid: readonly string[] } {
  try {
    return { config: loadConfig(env, keysOf(NEEDS)), invalid: [] }
  } catch (error) {
    if (error instanceof SettingsError) return { invalid: error.problems }
    throw error
  }
}

type Entries = readonly (readonly [name: string, value: unknown])[]

function problemsOf(entries: Entries, check: (name: string, value: unknown) => string | null): [string, string][] {
  return entries.flatMap(([name, value]): [string, string][] => {
    const problem = check(name, value)
    return problem === null ? [] : [[name, problem]]
  })
}

const UNKNOWN = 'is not a setting'

function problemOf(name: string, value: unknown): string | null {
  if (OF_THE_SERVICE.some((one) => one === name)) return 'is only for the service; your app has its own server and log'
  if (!isName(name)) return UNKNOWN
  if (isText(value)) return null
  return `must be text, as in the environment, a number or a boolean, not ${typeName(value)}`
}

/** Names of other programs are nobody's business here. */
function environmentProblem(name: string, value: unknown): string | null {
  if (typeof value === 'string' || value === undefined || !isName(name.toUpperCase())) return null
  return OF_THE_SERVICE.some((one) => one === name) ? null : `must be text in an environment, not ${typeName(value)}`
}

function isText(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function typeName(value: unknown): string {
  return value === null ? 'null' : `of type ${typeof value}`
}

function isName(name: string): boolean {
  return Object.hasOwn(SETTINGS, name) || name.startsWith('SVIX_WEBHOOK_SECRET') || isFileOfSecret(name)
}

function isFileOfSecret(name: string): boolean {
  const target = name.replace(/_FILE$/, '')
  return target !== name && Object.hasOwn(SETTINGS, target) && SETTINGS[target as SettingName].secret
}

/** The environment without what is given otherwise: the same name, in small letters, or as a file. */
function without(environment: Env, stems: ReadonlySet<string>): Entries {
  return Object.entries(environment).filter(([name]) => !stems.has(stemOf(name)))
}

function stemOf(name: string): string {
  const upper = name.toUpperCase()
  return Object.hasOwn(SETTINGS, upper) || upper === name ? upper.replace(/_FILE$/, '') : name
}

function nameIn(problem: string): string {
  return problem.split(':', 1)[0]!
}

function keysOf<K extends string>(record: Readonly<Record<K, unknown>>): readonly K[] {
  return Object.keys(record) as K[]
}
