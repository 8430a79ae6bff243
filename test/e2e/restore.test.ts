import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { MIGRATIONS } from '../../src/inbox/sqlite/schema.ts'
import { newSecret } from '../../src/signing.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** `receiver restore`: puts a backup back, and never where that could lose or mix anything. */

/** A database with one job of this id. `version`: of its schema. */
function database(path: string, jobId: string, version = MIGRATIONS.length): void {
  using db = new DatabaseSync(path)
  for (const migration of MIGRATIONS.slice(0, version)) db.exec(migration)
  db.exec(`PRAGMA user_version = ${version}`)
  if (version === MIGRATIONS.length)
    db.prepare(
      `INSERT INTO job (job_id, state, endpoint, due_at, created_at, queued_at, updated_at) VALUES (?, 'done', 'default', 0, 0, 0, 0)`,
    ).run(jobId)
}

function jobsIn(path: string): unknown[] {
  using db = new DatabaseSync(path, { readOnly: true })
  return db
    .prepare('SELECT job_id FROM job')
    .all()
    .map((row) => row.job_id)
}

/** Whether a service that starts takes what ran for interrupted, rather than crashed. */
function isMarkedInterrupted(path: string): boolean {
  using db = new DatabaseSync(path, { readOnly: true })
  return db.prepare("SELECT 1 FROM counter WHERE name = 'stop_asked' AND value = 1").get() !== undefined
}

/** A folder with a database and a backup. */
function folderWith(): {
  folder: string
  path: string
  file: string
  run: (file: string, ...more: string[]) => Promise<{ code: number | null; output: string }>
} {
  const folder = tempFolder()
  const path = join(folder, 'receiver.db')
  const file = join(tempFolder(), 'backup.db')
  database(path, 'today')
  database(file, 'yesterday')
  const run = async (...args: string[]) => {
    const receiver = spawnReceiver(['restore', ...args], { DATABASE_URL: `sqlite:${path}` }, tempFolder())
    return { code: await receiver.exited, output: receiver.output() }
  }
  return { folder, path, file, run }
}

describe('restore', () => {
  it('puts the backup in the place of the database, and keeps that under a name that it prints', async () => {
    const { folder, path, file, run } = folderWith()
    const { code, output } = await run(file)
    expect(code).toBe(0)
    const [, aside] = /kept as (\S+)/.exec(output)!
    expect(jobsIn(path)).toEqual(['yesterday'])
    expect(isMarkedInterrupted(path)).toBe(true)
    expect(jobsIn(aside!)).toEqual(['today'])
    expect(jobsIn(file)).toEqual(['yesterday'])
    const names = readdirSync(folder).filter((name) => !name.endsWith('.lock'))
    expect(names.map((name) => join(folder, name)).toSorted()).toEqual([path, aside].toSorted())
    const again = JSON.parse((await run(file, '--json')).output)
    expect(again).toMatchObject({ file, database: path, kept: expect.stringContaining('before-restore') })
    expect(jobsIn(again.kept)).toEqual(['yesterday'])
  })

  it('restores where there is no database', async () => {
    const { file } = folderWith()
    const path = join(tempFolder(), 'data', 'receiver.db')
    const receiver = spawnReceiver(['restore', file], { DATABASE_URL: `sqlite:${path}` }, tempFolder())
    expect(await receiver.exited).toBe(0)
    expect(receiver.output()).not.toContain('kept as')
    expect(jobsIn(path)).toEqual(['yesterday'])
  })

  it('restores a backup of an earlier version, which the service brings up to date', async () => {
    const { path, file, run } = folderWith()
    const old = `${file}.old`
    database(old, '', 1)
    expect(await run(old)).toMatchObject({ code: 0 })
    using db = new DatabaseSync(path, { readOnly: true })
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 })
  })

  it.each<[string, (file: string, path: string) => void, RegExp]>([
    ['is not there', (file) => copyFileSync(file, `${file}.x`), /there is no file .*none\.db/],
    [
      'is no database',
      (file) => writeFileSync(file, 'nothing of the kind '.repeat(500)),
      /cannot be read as a database/,
    ],
    ['is empty', (file) => truncateSync(file, 0), /is no backup of this service/],
    ['was cut off', (file) => truncateSync(file, 8_192), /(is damaged|cannot be read)/],
    ['is damaged inside', spoil, /is damaged: .*take an earlier backup/],
    ['is of a later version', (file) => setVersion(file, 999), /has schema version 999; .* with the newer version/],
    ['has a log beside it', (file) => writeFileSync(`${file}-wal`, 'x'), /backup\.db-wal lies there/],
  ])('changes nothing when the backup %s', async (what, change, told) => {
    const { folder, path, file, run } = folderWith()
    change(file, path)
    const before = readFileSync(path)
    const { code, output } = await run(what === 'is not there' ? `${file}/../none.db` : file)
    expect(output).toMatch(told)
    expect(code).toBeGreaterThan(0)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(folder).filter((name) => !name.endsWith('.lock'))).toEqual(['receiver.db'])
  })

  it('refuses where a log lies beside the database', async () => {
    const { path, file, run } = folderWith()
    writeFileSync(`${path}-wal`, 'deliveries')
    expect(await run(file)).toEqual({
      code: 1,
      output: expect.stringMatching(/receiver\.db-wal lies there, with deliveries that are not in the database file/),
    })
    expect(readFileSync(`${path}-wal`, 'utf8')).toBe('deliveries')
    expect(jobsInCopy(path)).toEqual(['today'])
  })

  it('refuses the database itself', async () => {
    const { path, run } = folderWith()
    expect(await run(path)).toMatchObject({ code: 1, output: expect.stringContaining('is the database itself') })
  })

  it('refuses while a service runs, and works when it has ended', async () => {
    const { file } = folderWith()
    const folder = tempFolder()
    const env = testEnv(folder, await testReducto(), newSecret())
    const service = spawnReceiver(['serve'], env)
    await service.line(isReady)
    const run = async () => {
      const receiver = spawnReceiver(['restore', file], env, tempFolder())
      return { code: await receiver.exited, output: receiver.output() }
    }
    expect(await run()).toEqual({
      code: 1,
      output: expect.stringMatching(/a service runs on .*: stop it, then restore/),
    })
    expect(await service.end('SIGTERM')).toBe(0)
    expect(await run()).toMatchObject({ code: 0 })
    expect(jobsIn(join(folder, 'receiver.db'))).toEqual(['yesterday'])
    expect(existsSync(join(folder, 'receiver.db-wal'))).toBe(false)
  })
})

/** What a copy has, without the log that lies beside the original. */
function jobsInCopy(path: string): unknown[] {
  const copy = join(tempFolder(), 'copy.db')
  copyFileSync(path, copy)
  return jobsIn(copy)
}

function setVersion(file: string, version: number): void {
  using db = new DatabaseSync(file)
  db.exec(`PRAGMA user_version = ${version}`)
}

/** Writes over a page of an index, which no query of a check but the real one would read. */
function spoil(file: string): void {
  const page = pageOf(file)
  const bytes = readFileSync(file)
  bytes.fill(0xff, (page - 1) * 4096, page * 4096)
  writeFileSync(file, bytes)
}

function pageOf(file: string): number {
  using db = new DatabaseSync(file, { readOnly: true })
  const row = db.prepare(`SELECT rootpage FROM sqlite_schema WHERE name = 'job_due'`).get() as { rootpage: number }
  return row.rootpage
}
