import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openForWriting } from '../../src/inbox/sqlite/schema.ts'
import { spawnReceiver } from '../support/process.ts'
import { tempFolder } from '../support/temp.ts'

it('restore removes the index of search of the database that was there, and keeps the database', async () => {
  const [folder, backup] = [tempFolder(), join(tempFolder(), 'backup.db')]
  const database = join(folder, 'receiver.db')
  openForWriting(database, { migrate: true }).close()
  const env = { DATABASE_URL: `sqlite:${database}` }
  const made = spawnReceiver(['backup', backup], env)
  expect(await made.exited, made.output()).toBe(0)
  const beside = [`${database}.search`, `${database}.search-wal`, `${database}.search-shm`]
  for (const file of beside) writeFileSync(file, 'of another database')
  const restored = spawnReceiver(['restore', backup], env)
  expect(await restored.exited, restored.output()).toBe(0)
  expect(beside.filter((file) => existsSync(file))).toEqual([])
  expect(existsSync(database)).toBe(true)
})
