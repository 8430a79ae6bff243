import { readdirSync, readFileSync, symlinkSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { openForWriting } from '../../src/inbox/sqlite/schema.ts'
import { spawnReceiver } from '../support/process.ts'
import { tempFolder } from '../support/temp.ts'

/** Copying so much takes far longer than a signal takes to arrive. */
const LARGE_ROWS = 256

function database(rows = 0) {
  const folder = tempFolder()
  const path = join(folder, 'receiver.db')
  const db = openForWriting(path, { migrate: true })
  db.exec('CREATE TABLE ballast (bytes BLOB)')
  const insert = db.prepare('INSERT INTO ballast VALUES (zeroblob(1048576))')
  for (let row = 0; row < rows; row++) insert.run()
  db.close()
  return { path, env: { DATABASE_URL: `sqlite:${path}` } }
}

async function backup(file: string, env: Record<string, string>) {
  const receiver = spawnReceiver(['backup', file], env, tempFolder())
  return { code: await receiver.exited, output: receiver.output() }
}

describe('backup', () => {
  it.each(['.partial', '.tmp', '.part', '-wal', '.lock'])('leaves a FILE%s of the user’s alone', async (end) => {
    const [{ env }, folder] = [database(), tempFolder()]
    const file = join(folder, 'backup.db')
    writeFileSync(`${file}${end}`, 'mine')
    expect(await backup(file, env)).toMatchObject({ code: 0 })
    expect(readFileSync(`${file}${end}`, 'utf8')).toBe('mine')
    expect(readdirSync(folder).toSorted()).toEqual(['backup.db', `backup.db${end}`].toSorted())
    const copy = new DatabaseSync(file, { readOnly: true })
    expect(copy.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    copy.close()
  })

  it.each(['file', 'link to nothing'])('does not replace a %s, and says what to do', async (kind) => {
    const [{ env }, folder] = [database(), tempFolder()]
    const file = join(folder, 'backup.db')
    if (kind === 'file') writeFileSync(file, 'mine')
    else symlinkSync(join(folder, 'elsewhere'), file)
    expect(await backup(file, env)).toEqual({
      code: 1,
      output: expect.stringMatching(/backup\.db exists already, .*name another file/),
    })
    expect(readdirSync(folder)).toEqual(['backup.db'])
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('leaves nothing after %s in the middle of it', async (signal) => {
    const [{ env }, folder] = [database(LARGE_ROWS), tempFolder()]
    const begun = Promise.withResolvers<void>()
    const watcher = watch(folder, () => begun.resolve())
    const receiver = spawnReceiver(['backup', join(folder, 'backup.db')], env, tempFolder())
    await begun.promise
    watcher.close()
    await receiver.end(signal)
    expect(receiver.child.signalCode).toBe(signal)
    expect(readdirSync(folder)).toEqual([])
  })

  it('does not replace a file that comes while it copies', async () => {
    const [{ env }, folder] = [database(LARGE_ROWS), tempFolder()]
    const file = join(folder, 'backup.db')
    const begun = Promise.withResolvers<void>()
    const watcher = watch(folder, () => begun.resolve())
    const receiver = spawnReceiver(['backup', file], env, tempFolder())
    await begun.promise
    watcher.close()
    writeFileSync(file, 'mine')
    expect(await receiver.exited).toBe(1)
    expect(receiver.output()).toMatch('backup.db exists already')
    expect(readFileSync(file, 'utf8')).toBe('mine')
    expect(readdirSync(folder)).toEqual(['backup.db'])
  })

  it('names a database that is not there, and makes nothing', async () => {
    const [source, folder] = [tempFolder(), tempFolder()]
    const path = join(source, 'receiver.db')
    expect(await backup(join(folder, 'backup.db'), { DATABASE_URL: `sqlite:${path}` })).toEqual({
      code: 1,
      output: expect.stringContaining(`DATABASE_URL: there is no database ${path}`),
    })
    expect([...readdirSync(source), ...readdirSync(folder)]).toEqual([])
  })

  it('names a database that cannot be read', async () => {
    const [source, folder] = [tempFolder(), tempFolder()]
    const path = join(source, 'receiver.db')
    writeFileSync(path, 'no database, but long enough to be looked at'.repeat(100))
    const { code, output } = await backup(join(folder, 'backup.db'), { DATABASE_URL: `sqlite:${path}` })
    expect(code).toBe(1)
    expect(output).toMatch(`DATABASE_URL: ${path} cannot be read`)
    expect(readdirSync(folder)).toEqual([])
  })

  it('names a folder that is not there', async () => {
    const { env } = database()
    const { code, output } = await backup(join(tempFolder(), 'none', 'backup.db'), env)
    expect(code).toBe(1)
    expect(output).toMatch(/none is not there: make it first/)
  })

  it('takes no option for a file', async () => {
    expect(await backup('--nonsense', database().env)).toMatchObject({ code: 2 })
  })
})
