import { type Config, loadConfig, SettingsError } from './config.ts'
import type { Env } from './given.ts'
import type { ENDPOINT_SECRET, SettingName } from './settings.ts'
import { SETTINGS } from './settings.ts'

/** Settings of a server and a process, which an app that mounts the receiver has of its own. */
const OF_THE_SERVICE = ['HOST', 'PORT', 'ADMIN_PORT', 'TRUST_PROXY', 'LOG_LEVEL'] as const
type OfTheService = (typeof OF_THE_SERVICE)[number]

type SecretName = Extract<
  SettingName,
  `${string}_KEY` | `${string}_SECRET` | `${string}_TOKEN` | 'HTTPS_PROXY' | 'HTTP_PROXY'
>
type EndpointName = typeof ENDPOINT_SECRET | `${typeof ENDPOINT_SECRET}_${string}`
type OwnName = Exclude<SettingName, OfTheService> | `${SecretName}_FILE` | EndpointName

/**
 * Settings by the names that they have in the environment, and written as they are there: `{ WORKER_CONCURRENCY: 4,
 * RETENTION: '100d' }`. What is undefined or empty is not set.
 */
export type OwnSettings = { readonly [N in OwnName]?: string | number | boolean | undefined }

/** What a receiver in an app needs. */
export type OwnConfig = Omit<Config, 'host' | 'port' | 'adminPort' | 'trustProxy' | 'logLevel'>

/** All of them: a part of the Config that is added later does not compile without a decision. */
const NEEDS: Readonly<Record<keyof OwnConfig, true>> = {
  publicUrl: true,
  endpoints: true,
  directToken: true,
  admin: true,
  reducto: true,
  database: true,
  results: true,
  handler: true,
  handlerTimeout: true,
  handlerRetryFor: true,
  concurrency: true,
  fetchRetryFor: true,
  retention: true,
  resultsRetention: true,
  maxResultBytes: true,
  minFreeDisk: true,
  allowPrivateHosts: true,
  proxy: true,
  shutdownGrace: true,
  secrets: true,
}

/**
 * Reads settings that an app gives, over those of an environment that it passes on; never the process's own. In the app's
 * own ones every name must be a setting; an environment holds other programs' names too. `problems`: what else is wrong.
 * @throws SettingsError with every problem there is
 */
export function loadOwnConfig(own: OwnSettings, environment: Env, problems: readonly string[] = []): OwnConfig {
  const given = Object.entries(own as Readonly<Record<string, unknown>>).filter(
    ([, value]) => value !== undefined && value !== '',
  )
  const wrong = new Map(
    given.flatMap(([name, value]) => {
      const problem = problemOf(name, value)
      return problem === null ? [] : [[name, problem]]
    }),
  )
  const texts = Object.fromEntries(given.map(([name, value]) => [name, String(value)]))
  const { config, told } = load({ ...without(environment, Object.keys(texts)), ...texts })
  if (config && wrong.size === 0 && problems.length === 0) return config

  // A name that is close to a setting's is told with the one that was meant; of a value that is no text, only that.
  const slips = new Set(told.map(nameIn).filter((name) => wrong.get(name) === UNKNOWN))
  throw new SettingsError([
    ...problems,
    ...[...wrong].filter(([name]) => !slips.has(name)).map(([name, problem]) => `${name}: ${problem}`),
    ...told.filter((problem) => slips.has(nameIn(problem)) || !wrong.has(nameIn(problem))),
  ])
}

function load(env: Env): { readonly config?: OwnConfig; readonly told: readonly string[] } {
  try {
    return { config: loadConfig(env, keysOf(NEEDS)), told: [] }
  } catch (error) {
    if (error instanceof SettingsError) return { told: error.problems }
    throw error
  }
}

const UNKNOWN = 'is not a setting'

function problemOf(name: string, value: unknown): string | null {
  if (OF_THE_SERVICE.some((one) => one === name))
    return 'is for the service alone; your app has a server and a log of its own'
  if (!isName(name)) return UNKNOWN
  if (['string', 'number', 'boolean'].includes(typeof value)) return null
  return `must be text, as in the environment, a number or a boolean, not ${value === null ? 'null' : `of type ${typeof value}`}`
}

function isName(name: string): boolean {
  return name in SETTINGS || name.startsWith('SVIX_WEBHOOK_SECRET') || isFileOfSecret(name)
}

function isFileOfSecret(name: string): boolean {
  const target = name.replace(/_FILE$/, '')
  return target !== name && target in SETTINGS && SETTINGS[target as SettingName].secret
}

/** The environment without what is given otherwise: the same name, in small letters, or as a file. */
function without(environment: Env, given: readonly string[]): Env {
  const stems = new Set(given.map((name) => stemOf(name)))
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !stems.has(stemOf(name))))
}

function stemOf(name: string): string {
  const upper = name.toUpperCase()
  return upper in SETTINGS || upper === name ? upper.replace(/_FILE$/, '') : name
}

function nameIn(problem: string): string {
  return problem.split(':', 1)[0]!
}

function keysOf<K extends string>(record: Readonly<Record<K, unknown>>): readonly K[] {
  return Object.keys(record) as K[]
}
