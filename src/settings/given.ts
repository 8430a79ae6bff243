import { isInjected } from './near-misses.ts'
import { NotAFile, readFileBounded } from './read-file.ts'
import { ENDPOINT_SECRET, endpointSecrets, SETTING_NAMES, SETTINGS, type SettingName } from './settings.ts'

export type Env = Readonly<Record<string, string | undefined>>
/** The given text for each name; empty values are omitted. */
export type Given = Readonly<Record<string, string>>

/** Longer than any secret: a larger or endless file is the wrong one. */
const MAX_SECRET_FILE_BYTES = 64 * 1024

/** Whether a name is, or is intended to be, one of an endpoint's secrets. */
function isEndpointName(name: string): boolean {
  return name.startsWith(ENDPOINT_SECRET)
}

/** Whether the setting may come from NAME_FILE and must be kept secret. */
export function isSecret(name: string): boolean {
  return isEndpointName(name) || (Object.hasOwn(SETTINGS, name) && SETTINGS[name as SettingName].secret)
}

/** The secret whose file a variable names: NAME for NAME_FILE; null for every other variable. */
export function secretOfFile(variable: string): string | null {
  const target = variable.replace(/_FILE$/, '')
  return target !== variable && target !== `${ENDPOINT_SECRET}_` && isSecret(target) ? target : null
}

/** The parts of a secret's value that must not leave the process. */
export function secretParts(name: string, value: string): readonly string[] {
  return (isEndpointName(name) ? endpointSecrets : SETTINGS[name as SettingName]).secretParts(value)
}

/**
 * The given settings that `wanted` selects: set directly, in lower case where that is usual, or, for secrets, in a
 * file. Problems never quote a secret or the path of its file: the path may be the secret.
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
 * Replaces settings in lower case by their upper-case names and returns those names. Many machines set both forms to
 * the same value; if they differ, the intended one is unknown.
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
      problems.push(`${name}: set either this or ${name.toLowerCase()}, or both to the same value: they differ`)
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
    const wrong = text === '' ? 'is empty' : /[\0\ufffd]/.test(text) ? 'is not UTF-8 text' : null
    if (wrong === null) return text
    problems.push(`${name}: the file ${wrong}`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = error instanceof NotAFile ? `is ${error.message}` : `cannot be read (${code ?? 'no path'})`
    problems.push(`${name}: must be the path of a file with the secret; it ${why}`)
  }
  return ''
}
