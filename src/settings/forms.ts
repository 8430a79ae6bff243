import { type Env, secretOfFile } from './given.ts'
import { SETTINGS, type SettingName } from './settings.ts'

/**
 * Settings that replace each other: setting the first one overrides the others in sources of lower precedence.
 * FORWARD_SECRET without its URL would be an error.
 */
const DECIDES: ReadonlyMap<string, readonly string[]> = new Map([
  ['REDUCTO_ENVIRONMENT', ['REDUCTO_BASE_URL']],
  ['REDUCTO_BASE_URL', ['REDUCTO_ENVIRONMENT']],
  ['HANDLER', ['FORWARD_URL', 'FORWARD_SECRET']],
  ['FORWARD_URL', ['HANDLER']],
  ['ALL_PROXY', ['HTTPS_PROXY', 'HTTP_PROXY']],
])

/** The setting that a variable gives: NAME of NAME_FILE and of `name` where it has these forms; else what it is called. */
function settingOf(variable: string): string {
  const secret = secretOfFile(variable)
  if (secret !== null) return secret
  const upper = variable.toUpperCase()
  return isShared(upper) && variable === upper.toLowerCase() ? upper : variable
}

/** Whether other programs read the setting too, also in lower case. */
export function isShared(name: string): boolean {
  return Object.hasOwn(SETTINGS, name) && SETTINGS[name as SettingName].shared
}

/**
 * The variables that `file` adds to the environment: none that the environment has, and no other form of a setting that
 * the environment provides. An empty variable provides no setting; it only blocks the same variable.
 */
export function additionsTo(environment: Env, file: Env): Env {
  const given = Object.keys(environment)
    .filter((name) => environment[name])
    .map(settingOf)
  const decided = new Set(given.flatMap((name) => [name, ...(DECIDES.get(name) ?? [])]))
  const adds = ([name]: readonly [string, unknown]) =>
    !Object.hasOwn(environment, name) && !decided.has(settingOf(name))
  return Object.fromEntries(Object.entries(file).filter(adds))
}
