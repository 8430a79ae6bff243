import { type Env, secretOfFile } from './given.ts'
import { SETTINGS, type SettingName } from './settings.ts'

/**
 * Settings that stand for each other: who gives the first one has decided against the others, wherever they are given
 * with less weight. FORWARD_SECRET alone, without its URL, would be a mistake.
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

/** Whether other programs read the setting too, in small letters as well. */
export function isShared(name: string): boolean {
  return Object.hasOwn(SETTINGS, name) && SETTINGS[name as SettingName].shared
}

/**
 * What `file` adds to the environment: no variable that the environment has, and no other form of a setting that it gives.
 * An empty variable gives no setting; it only stands for itself.
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
