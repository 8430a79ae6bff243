import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { causesOf } from '../causes.ts'
import { type Config, SettingsError } from '../settings/config.ts'
import { storageProblems } from '../settings/machine.ts'

/** What only this machine can tell about settings. */

type ServiceConfig = Pick<Config, 'host' | 'port' | 'adminPort' | 'database' | 'results'>

/**
 * Looks whether this machine knows HOST, and whether this process may write where it is to keep things.
 * @throws SettingsError
 */
export async function checkMachine(config: ServiceConfig): Promise<void> {
  const host = await hostProblem(config.host)
  const problems = [...(host === null ? [] : [host]), ...storageProblems(config)]
  if (problems.length > 0) throw new SettingsError(problems)
}

async function hostProblem(host: string): Promise<string | null> {
  if (isIP(host)) return null
  try {
    await lookup(host)
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return `HOST: ${host} is no address, and no name that this machine can resolve (${code}): set it to 0.0.0.0, or to an address of this machine`
  }
}

type ListenPlace = { readonly host: string; readonly setting: 'PORT' | 'ADMIN_PORT'; readonly port: number }

const LISTEN_PROBLEMS: Readonly<Record<string, (place: ListenPlace) => string>> = {
  EADDRINUSE: ({ setting, port }) => `${setting}: port ${port} is taken: stop what listens there, or set another`,
  EACCES: ({ setting, port }) =>
    `${setting}: port ${port} may not be used by uid ${process.getuid?.()}: set one from 1024 on`,
  EADDRNOTAVAIL: ({ host }) => `HOST: ${host} is no address of this machine: set it to 0.0.0.0`,
  EAFNOSUPPORT: ({ host }) => `HOST: this machine has no addresses of the kind of ${host}: set it to 0.0.0.0`,
}

/** What an error of a start says about settings: where it was to listen. Else the error itself. */
export function settingsErrorOf(error: unknown, config: ServiceConfig): unknown {
  const listening = causesOf(error).find((cause) => (cause as NodeJS.ErrnoException | null)?.syscall === 'listen')
  const { code = '', port = config.port } = (listening ?? {}) as NodeJS.ErrnoException & { readonly port?: number }
  const setting = port === config.adminPort && port !== config.port ? 'ADMIN_PORT' : 'PORT'
  const problem = LISTEN_PROBLEMS[code]
  return problem ? new SettingsError([problem({ host: config.host, setting, port })]) : error
}
