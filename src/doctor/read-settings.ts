import { type Config, loadConfig, SettingsError } from '../settings/config.ts'
import type { Env } from '../settings/given.ts'
import type { Settings } from './context.ts'
import { Skip } from './finding.ts'

export type DoctorSettings = Settings & {
  /** Null also when the settings that it is made from are wrong. */
  find<K extends keyof Config>(name: K): Config[K] | null
  /** Of all parts that can be read. */
  readonly secrets: readonly string[]
}

/** The parts with secrets, which may come from files. */
const WITH_SECRETS = ['endpoints', 'directToken', 'admin', 'reducto', 'handler', 'proxy'] as const

/** Reads each part of the settings on its own: what is wrong with one keeps no other from being looked at. */
export function readSettings(env: Env): DoctorSettings {
  function read<K extends keyof Config>(name: K): Config[K] {
    return loadConfig(env, [name])[name]
  }
  return {
    problems: problemsOf(env),
    secrets: secretsOf(env),
    get(name) {
      try {
        return read(name)
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error
        const names = new Set(error.problems.map((one) => one.split(':', 1)[0]))
        throw new Skip(`the settings are wrong or missing: ${[...names].join(', ')}`, 'mend them first: see settings')
      }
    },
    find(name) {
      try {
        return read(name)
      } catch {
        return null
      }
    },
  }
}

/** Those that a service runs with: it would not have started if any were wrong. */
export function settingsOf(config: Config): DoctorSettings {
  return { problems: [], secrets: config.secrets, get: (name) => config[name], find: (name) => config[name] }
}

function problemsOf(env: Env): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
}

function secretsOf(env: Env): readonly string[] {
  const parts: readonly (keyof Config)[] = [...WITH_SECRETS]
  const found = [[], ...parts.map((name) => [name])].flatMap((needs) => {
    try {
      return loadConfig(env, needs).secrets
    } catch {
      return []
    }
  })
  return [...new Set(found)]
}
