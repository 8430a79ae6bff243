import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fsyncPath, mkdirDurably } from '../src/fsync.ts'
import { tempFolder } from './support/temp.ts'

it('a file system that cannot sync folders is none the worse for it', async () => {
  // proc answers EINVAL.
  await fsyncPath('/proc/self')
})

it('a file that cannot be synced is told', async () => {
  await expect(fsyncPath('/proc/self/status')).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(fsyncPath('/nowhere')).rejects.toMatchObject({ code: 'ENOENT' })
})

it('makes folders for the user alone', async () => {
  const folder = join(tempFolder(), 'a', 'b')
  await mkdirDurably(folder)
  await mkdirDurably(folder)
  expect(existsSync(folder)).toBe(true)
  for (const made of [folder, join(folder, '..')]) expect(statSync(made).mode & 0o777).toBe(0o700)
})
