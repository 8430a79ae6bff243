import { closeSync, openSync, readSync } from 'node:fs'
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
  return isEndpointName(name) || (name in SETTINGS && SETTINGS[name as SettingName].secret)
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
  for (const [name, value] of Object.entries(env)) if (value) given[name] = value
  for (const name of SETTING_NAMES) {
    const small = given[name.toLowerCase()]
    if (SETTINGS[name].shared && small !== undefined) given[name] = small
  }
  for (const [name, path] of Object.entries(given)) {
    const target = name.replace(/_FILE$/, '')
    if (target === name || !isSecret(target) || target === `${ENDPOINT_SECRET}_`) continue
    delete given[name]
    if (!wanted(target)) continue
    if (given[target] !== undefined) problems.push(`${name}: set either this or ${target}, not both`)
    else given[target] = readSecretFile(name, path, problems)
  }
  return given
}

function readSecretFile(name: string, path: string, problems: string[]): string {
  try {
    const text = readBounded(path)
      .replace(/^\ufeff/, '')
      .replace(/\r?\n$/, '')
    const wrong = text === '' ? 'is empty' : /[\0\ufffd]/.test(text) ? 'is not text in UTF-8' : null
    if (wrong === null) return text
    problems.push(`${name}: the file ${wrong}`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    problems.push(`${name}: must be the path of a file with the secret; it cannot be read (${code ?? 'no path'})`)
  }
  return ''
}

function readBounded(path: string): string {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(MAX_SECRET_FILE_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    if (length > MAX_SECRET_FILE_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' })
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}
