import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { createCheckpointer, logBound } from '../../../src/inbox/sqlite/checkpoint.ts'
import { openSqlite } from '../../../src/inbox/sqlite/inbox.ts'
import { delivery } from '../../support/service.ts'
import { tempFolder } from '../../support/temp.ts'

const open = async (path: string) => {
  const onDeath = (error: Error) => expect.unreachable(error.message)
  const inbox = await openSqlite({ path, clock: systemClock, minFree: 0, isService: true, onDeath })
  onTestFinished(() => inbox.close())
  return inbox
}

it('keeps the log within a bound that fits a small volume, which goes on taking deliveries', async (context) => {
  const disk = join(tempFolder(), 'disk')
  mkdirSync(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return context.skip('cannot mount')
  }
  onTestFinished(() => void execFileSync('umount', ['-l', disk]))
  const path = join(disk, 'inbox.db')
  const bound = await logBound(path)
  expect(bound).toBe(1.5 * 1024 * 1024)
  const inbox = await open(path)
  let largest = 0
  // The same jobs again and again: the database stays small, and the log would fill the volume four times over.
  for (let round = 0; round < 200; round++) {
    await Promise.all(
      Array.from({ length: 32 }, (_, index) => inbox.accept(delivery(`job-${index}`, { svixId: `msg_${index}` }))),
    )
    await inbox.requeue({}, {})
    largest = Math.max(largest, statSync(`${path}-wal`).size)
  }
  expect(largest).toBeLessThan(4 * bound)
  expect(inbox.isFailing()).toBe(false)
})

it('is bounded by 256 MiB on a large volume, and is at least 1 MiB', async () => {
  const bound = await logBound(join(tempFolder(), 'inbox.db'))
  expect(bound).toBeLessThanOrEqual(256 * 1024 * 1024)
  expect(bound).toBeGreaterThanOrEqual(1024 * 1024)
})

it('moves the bulk beside the writer until little came meanwhile, and comes again when a reader was in the way', async () => {
  const path = join(tempFolder(), 'inbox.db')
  new DatabaseSync(path).close()
  const calls: string[] = []
  /** Pages in the log at the start of each pass: what comes while one is under way, that pass does not count. */
  let log = [10_000, 11_000, 11_020]
  let busy = true
  const checkpointer = createCheckpointer({
    path,
    bound: Number.MAX_SAFE_INTEGER,
    bulk: async () => {
      calls.push('bulk')
      return { busy: false, pages: log.shift()!, left: 0 }
    },
    rest: async () => {
      calls.push('rest')
      return { busy, pages: 10, left: busy ? 10 : 0 }
    },
  })
  await checkpointer.look()
  expect(calls).toEqual([])
  await checkpointer.now()
  expect(calls).toEqual(['bulk', 'bulk', 'bulk', 'rest'])
  busy = false
  log = [30]
  await checkpointer.look()
  expect(calls.slice(4)).toEqual(['bulk', 'rest'])
  await checkpointer.look()
  expect(calls).toHaveLength(6)
})

it.each([
  ['a reader keeps it from the database', { busy: false, pages: 9_000, left: 9_000 }],
  ['more comes than it can move', null],
])('leaves the rest to the writer in the end, though %s', async (_why, answer) => {
  const path = join(tempFolder(), 'inbox.db')
  new DatabaseSync(path).close()
  let passes = 0
  let rests = 0
  const checkpointer = createCheckpointer({
    path,
    bound: Number.MAX_SAFE_INTEGER,
    bulk: async () => answer ?? { busy: false, pages: ++passes * 1_000, left: 0 },
    rest: async () => {
      rests++
      return { busy: false, pages: 10, left: 0 }
    },
  })
  await checkpointer.now()
  expect(rests).toBe(1)
})

it('never waits for a reader: the log is emptied at the next look', async () => {
  const path = join(tempFolder(), 'inbox.db')
  const inbox = await open(path)
  await inbox.accept(delivery('job-1'))
  const reader = new DatabaseSync(path, { readOnly: true })
  onTestFinished(() => reader.close())
  reader.exec('BEGIN')
  reader.prepare('SELECT COUNT(*) FROM job').get()
  expect(await inbox.erase('job-1')).toBe('erased')
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0)
  expect(await inbox.accept(delivery('job-2'))).toMatchObject({ job: 'queued' })
  reader.exec('COMMIT')
  await expect.poll(() => statSync(`${path}-wal`).size, { timeout: 10_000 }).toBe(0)
})
