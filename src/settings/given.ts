import { isInjected } from './near-misses.ts'
import { NotAFile, readFileBounded } from './read-file.ts'
import { ENDPOINT_SECRET, endpointSecrets, SETTING_NAMES, SETTINGS, type SettingName } from './settings.ts'

export type Env = Readonly<Record<string, string | undefined>>
/** What is given for each name; empty values are none. */
export type Given = Readonly<Record<string, string>>

/** More than any secret has. What is longer, or has no end, is the wrong file. */
const MAX_SECRET_FILE_BYTES = 64 * 1024

/** Whether a name is one of an endpoint's secrets, or meant to be. */
function isEndpointName(name: string): boolean {
  return name.startsWith(ENDPOINT_SECRET)
}

/** Whether the setting may come from NAME_FILE, and is nobody's business. */
export function isSecret(name: string): boolean {
  return isEndpointName(name) || (Object.hasOwn(SETTINGS, name) && SETTINGS[name as SettingName].secret)
}

/** The secret whose file a variable names: NAME of NAME_FILE; null for every other variable. */
export function secretOfFile(variable: string): string | null {
  const target = variable.replace(/_FILE$/, '')
  return target !== variable && target !== `${ENDPOINT_SECRET}_` && isSecret(target) ? target : null
}

/** What must not leave the process of the value of a secret. */
export function secretParts(name: string, value: string): readonly string[] {
  return (isEndpointName(name) ? endpointSecrets : SETTINGS[name as SettingName]).secretParts(value)
}

/**
 * The settings as they are given, those that `wanted` wants: directly, in small letters where others write them so, or,
 * for secrets, in a file. Problems never say what was given for a secret, nor for its file: that may be the secret.
 */
export function readGiven(env: Env, wanted: (name: string) => boolean, problems: string[]): Given {
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) if (value && !isOfAService(name, value)) given[name] = value
  const small = takeSmall(given, wanted, problems)
  for (const [name, path] of Object.entries(given)) {
    const target = secretOfFile(name)
    if (target === null) continue
    delete given[name]
    if (!wanted(target)) continue
    if (given[target] === undefined) given[target] = readSecretFile(name, path, problems)
    else problems.push(`${name}: set either this or ${small.has(target) ? target.toLowerCase() : target}, not both`)
  }
  return given
}

/** Kubernetes sets ADMIN_PORT=tcp://… for a Service called `admin`, in every container of the namespace. */
function isOfAService(name: string, value: string): boolean {
  return Object.hasOwn(SETTINGS, name) && isInjected(name, value)
}

/**
 * Takes settings in small letters for those that they are, and returns which. Many machines set both forms to the same;
 * where they differ nobody can tell which one is meant.
 */
function takeSmall(
  given: Record<string, string>,
  wanted: (name: string) => boolean,
  problems: string[],
): ReadonlySet<string> {
  const taken = new Set<string>()
  for (const name of SETTING_NAMES) {
    const small = SETTINGS[name].shared ? given[name.toLowerCase()] : undefined
    if (small === undefined) continue
    if (given[name] === undefined) taken.add(name)
    else if (given[name] !== small && wanted(name))
      problems.push(`${name}: set either this or ${name.toLowerCase()}, or both to the same: they differ`)
    given[name] = small
  }
  return taken
}

function readSecretFile(name: string, path: string, problems: string[]): string {
  try {
    const text = readFileBounded(path, MAX_SECRET_FILE_BYTES)
      .toString('utf8')
      .replace(/^\ufeff/, '')
      .replace(/\r?\n$/, '')
    const wrong = text === '' ? 'is empty' : /[\0\ufffd]/.test(text) ? 'is not text in UTF-8' : null
    if (wrong === null) return text
    problems.push(`${name}: the file ${wrong}`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = error instanceof NotAFile ? `is ${error.message}` : `cannot be read (${code ?? 'no path'})`
    problems.push(`${name}: must be the path of a file with the secret; it ${why}`)
  }
  return ''
}
