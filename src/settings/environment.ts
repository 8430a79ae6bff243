import { lstatSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ownership } from '../permissions.ts'
import { SettingsError } from './config.ts'
import { additionsTo, isShared } from './forms.ts'
import { type Env, isSecret } from './given.ts'
import { NotAFile, readFileBounded } from './read-file.ts'

/**
 * These make libraries and Node print requests, including keys. The entry point removes them before anything is loaded.
 */
const NEVER_FROM_FILE = ['DEBUG', 'NODE_DEBUG']

/** Far more than all settings need: a larger file is not a settings file. */
const MAX_ENV_FILE_BYTES = 1024 * 1024

let whole: Env | null = null
let shell: Env | null = null

/**
 * The process's environment, completed by `.env` for settings that it lacks in every form. Read once. Other variables
 * of `.env` are passed on to the user's handler. Secrets are removed from `process.env`, so that neither handlers nor
 * child processes find them there.
 * @throws SettingsError when there is a `.env` that cannot be read
 */
export function environment(): Env {
  if (whole) return whole
  const fromShell = shellEnvironment()
  const fromFile = additionsTo(fromShell, readEnvFile('.env'))
  whole = { ...fromFile, ...fromShell }
  for (const [name, value] of Object.entries(fromFile))
    if (!leaves(name) && process.env[name] === undefined) process.env[name] = value
  return whole
}

/** Ignores `.env`: for the demo, whose simulated jobs must not reach real services. */
export function shellEnvironment(): Env {
  if (shell) return shell
  shell = { ...process.env }
  for (const name of Object.keys(process.env)) if (leaves(name)) delete process.env[name]
  return shell
}

/**
 * Secrets that only this service reads, and the settings that name their files, which may hold the secret by mistake.
 */
function leaves(name: string): boolean {
  const target = name.replace(/_FILE$/, '')
  return isSecret(target) && !isShared(target)
}

/** The settings in a file; none if there is no file. CRLF and a byte order mark are accepted. */
function readEnvFile(path: string): Env {
  const text = decode(path, readBytes(path))
  const all = Object.entries(parseEnv(text.replace(/\r\n?/g, '\n')))
  return Object.fromEntries(all.filter(([name]) => !NEVER_FROM_FILE.includes(name)))
}

function readBytes(path: string): Buffer {
  try {
    return readFileBounded(path, MAX_ENV_FILE_BYTES)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && !lstatSync(path, { throwIfNoEntry: false })) return Buffer.alloc(0)
    throw new SettingsError([`${path}: ${error instanceof NotAFile ? explainKind(error) : explain(code, path)}`])
  }
}

function explainKind({ message }: NotAFile): string {
  return `is ${message}; put the settings into a file (a container engine creates a folder if the file to mount is missing)`
}

function explain(code: string | undefined, path: string): string {
  if (code === 'ENOENT') return 'is a link to a file that does not exist'
  if (code !== 'EACCES' && code !== 'EPERM') return `cannot be read (${code})`
  return `cannot be read: it ${ownership(path)}; chown or chmod it, or pass the settings as environment variables`
}

function decode(path: string, bytes: Buffer): string {
  try {
    // Skips the byte order mark of UTF-8.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // The error is thrown below.
  }
  throw new SettingsError([`${path}: is not UTF-8 text (perhaps UTF-16): save it as UTF-8`])
}
