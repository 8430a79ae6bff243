import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { DatabaseRefused } from '../../../src/inbox/inbox.ts'
import { openSqlite } from '../../../src/inbox/sqlite/inbox.ts'
import { InboxLocked, LOCK_TIMEOUT_MS, lockInstance } from '../../../src/inbox/sqlite/lock.ts'
import { MIGRATIONS, openForWriting } from '../../../src/inbox/sqlite/schema.ts'
import type { CleanText } from '../../../src/telemetry/scrub.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { delivery, freeSlots } from '../../support/service.ts'
import { tempFolder } from '../../support/temp.ts'

/** What is SQLite's own: its files, its lock, its errors. */

/** How long a write waits for another process's, in tests that have it wait in vain, ms. */
const BUSY_MS = 200

async function open(path: string, more: { busyTimeout?: number } = {}) {
  const inbox = await openSqlite({
    ...more,
    path,
    clock: systemClock,
    minFree: 0,
    isService: true,
    onDeath: (error) => expect.unreachable(error.message),
  })
  onTestFinished(() => inbox.close())
  return inbox
}

describe('the database', () => {
  it('commits to the disk: write-ahead log, synced in full, as read back', () => {
    const db = openForWriting(join(tempFolder(), 'inbox.db'), { migrate: true })
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 })
    db.close()
  })

  it('refuses a newer schema, by name', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const db = openForWriting(path, { migrate: true })
    db.exec('PRAGMA user_version = 99')
    db.close()
    const refused = await open(path).catch((error) => error)
    expect(refused).toBeInstanceOf(DatabaseRefused)
    expect(refused.message).toMatch(/inbox\.db has schema version 99/)
  })

  it('migrates what an earlier version left, and keeps a copy of it', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const old = new DatabaseSync(path)
    old.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1`)
    old.exec(`INSERT INTO job (job_id, state, endpoint, due_at, give_up_at, created_at, queued_at, updated_at)
              VALUES ('job-1', 'queued', 'default', 0, 0, 0, 0, 0)`)
    old.close()
    const inbox = await open(path)
    expect(await inbox.claim('fetch', freeSlots(1))).toMatchObject([
      { jobId: 'job-1', round: 1, progress: { stage: 'fetch' } },
    ])
    const copy = new DatabaseSync(`${path}.before-v${MIGRATIONS.length}`, { readOnly: true })
    onTestFinished(() => copy.close())
    expect(copy.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 })
    expect(copy.prepare('SELECT job_id FROM job').all()).toEqual([{ job_id: 'job-1' }])
  })

  it('is not migrated by a command beside an older service, which says which version to use', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const old = new DatabaseSync(path)
    old.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1`)
    old.close()
    const opening = openSqlite({ path, clock: systemClock, minFree: 0, isService: false, onDeath: () => {} })
    await expect(opening).rejects.toThrow(/schema version 1, this command knows version \d+: start the service/)
    const after = new DatabaseSync(path, { readOnly: true })
    onTestFinished(() => after.close())
    expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 })
    expect(readdirSync(dirname(path)).filter((name) => name.includes('before'))).toEqual([])
  })

  it('keeps nothing of an erased job, in its file or its log', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await open(path)
    const secret = 'Ada-Lovelace-was-born-1815'
    await inbox.accept(delivery('job-1', { metadata: { name: secret } }))
    const held = () => [path, `${path}-wal`].some((file) => existsSync(file) && readFileSync(file).includes(secret))
    expect(held()).toBe(true)
    expect(await inbox.erase('job-1')).toBe('erased')
    expect(held()).toBe(false)
  })

  it('keeps no body, and no text of an attempt, that is past its retention, in its file or its log', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await open(path)
    const secret = 'Ada-Lovelace-was-born-1815'
    await inbox.accept(delivery('job-1', { metadata: { name: secret } }))
    await inbox.accept({ ...delivery('', { metadata: { name: secret } }), content: { is: 'ignored' } })
    const [claim] = await inbox.claim('fetch', freeSlots(1))
    const reason = { code: 'x', message: `no ${secret}` as CleanText }
    const noted = {
      startedAt: 1,
      ms: 1,
      task: 'fetch',
      outcome: 'retry',
      reason,
      savedStatus: null,
      type: null,
    } as const
    await inbox.settle(claim!, { ...claim!.progress, state: 'done' }, noted, null)
    const held = () => [path, `${path}-wal`].some((file) => existsSync(file) && readFileSync(file).includes(secret))
    expect(held()).toBe(true)
    expect(await inbox.pruneBodies(Date.now() + 1_000)).toBe(3)
    expect(held()).toBe(false)
  })

  it('says when there is less room on its disk than MIN_FREE_DISK', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await openSqlite({
      path,
      clock: systemClock,
      minFree: Number.MAX_SAFE_INTEGER,
      isService: true,
      onDeath: (error) => expect.unreachable(error.message),
    })
    onTestFinished(() => inbox.close())
    expect(await inbox.lowDisk()).toMatch(/free on the disk of .*less than MIN_FREE_DISK/)
    expect(await (await open(join(tempFolder(), 'inbox.db'))).lowDisk()).toBeNull()
  })

  it('tells a file that is no database', async () => {
    const path = join(tempFolder(), 'inbox.db')
    writeFileSync(path, 'this is no database, but long enough to be one '.repeat(100))
    await expect(open(path)).rejects.toThrow(/not a database/)
  })
})

describe('errors', () => {
  it('of one row: it fails alone, the others of its transaction are kept', async () => {
    const inbox = await open(join(tempFolder(), 'inbox.db'))
    // A disposition that the schema refuses.
    const bad = { ...delivery('bad'), content: { is: 'nonsense' } } as never
    const results = await Promise.allSettled([delivery('a'), bad, delivery('b')].map((one) => inbox.accept(one)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ name: 'InboxUnavailable', code: 'failed' })
    expect(await inbox.stats()).toMatchObject({ jobs: { queued: 2 }, deliveries: { job: 2 } })
  })

  it('of the database: nothing is acknowledged, and it goes on when the cause is gone', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await open(path)
    const other = new DatabaseSync(path)
    // A trigger stands for a disk that is full: SQLITE_FULL cannot be had without one.
    other.exec(`CREATE TRIGGER trouble BEFORE INSERT ON job BEGIN SELECT RAISE(FAIL, 'trouble'); END`)
    await expect(inbox.accept(delivery('a'))).rejects.toMatchObject({ code: 'failed' })
    other.exec('DROP TRIGGER trouble')
    other.close()
    expect(await inbox.get('a')).toBeNull()
    expect(await inbox.accept(delivery('a'))).toMatchObject({ duplicate: false, job: 'queued' })
  })

  it('of the whole database: it says that it fails, and finds out by itself when that is over', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await open(path, { busyTimeout: BUSY_MS })
    expect(inbox.isFailing()).toBe(false)
    const other = new DatabaseSync(path, { timeout: 10_000 })
    other.exec('BEGIN IMMEDIATE')
    // Waits for the other process, in vain.
    await expect(inbox.accept(delivery('a'))).rejects.toMatchObject({ code: 'failed' })
    expect(inbox.isFailing()).toBe(true)
    other.exec('ROLLBACK')
    other.close()
    await vi.waitFor(() => expect(inbox.isFailing()).toBe(false), { timeout: 10_000 })
    // A claim that failed in between must not have lost the wake-up.
    expect(await inbox.accept(delivery('a'))).toMatchObject({ duplicate: false })
  })

  it('of a claim: what it would have found is found by the next', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const inbox = await open(path, { busyTimeout: BUSY_MS })
    await inbox.accept(delivery('a'))
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(inbox.claim('fetch', freeSlots(1))).rejects.toMatchObject({ code: 'failed' })
    other.exec('ROLLBACK')
    other.close()
    await inbox.ready('fetch', new AbortController().signal)
    expect(await inbox.claim('fetch', freeSlots(1))).toHaveLength(1)
  })

  it('full: too many that wait are refused at once', async () => {
    const inbox = await open(join(tempFolder(), 'inbox.db'))
    const results = await Promise.allSettled(
      Array.from({ length: 12_000 }, (_, job) => inbox.accept(delivery(`job-${job}`))),
    )
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toMatchObject({ name: 'InboxUnavailable', code: 'full' })
    expect((await inbox.stats()).deliveries.job).toBe(12_000 - refused.length)
  })
})

describe('other processes', () => {
  it('their writes are seen within a second', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const clock = createManualClock()
    const options = { path, clock, minFree: 0, onDeath: () => {} }
    const inbox = await openSqlite({ ...options, isService: true })
    const other = await openSqlite({ ...options, isService: false })
    onTestFinished(async () => {
      await inbox.close()
      await other.close()
    })
    expect(await inbox.claim('fetch', freeSlots(1))).toEqual([])
    const ready = inbox.ready('fetch', new AbortController().signal)
    await clock.sleeping(1_000)
    await other.accept(delivery('a'))
    clock.advance(1_000)
    await ready
    expect(await inbox.claim('fetch', freeSlots(1))).toHaveLength(1)
  })
})

describe('the instance lock', () => {
  const lock = (path: string, clock = createManualClock(), signal = new AbortController().signal, onWait = () => {}) =>
    lockInstance(path, { clock, signal, onWait })

  it('is held by one, and free when it is released', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const release = await lock(path)
    const clock = createManualClock()
    const onWait = vi.fn()
    const second = lock(path, clock, undefined, onWait)
    await clock.sleeping(100)
    expect(onWait).toHaveBeenCalledTimes(1)
    release()
    clock.advance(100)
    const releaseSecond = await second
    expect(onWait).toHaveBeenCalledTimes(1)
    releaseSecond()
  })

  it('is waited for 60 s, then refused by name', async () => {
    const path = join(tempFolder(), 'inbox.db')
    const release = await lock(path)
    const clock = createManualClock()
    const second = lock(path, clock)
    await clock.sleeping(100)
    clock.advance(LOCK_TIMEOUT_MS)
    await expect(second).rejects.toThrow(InboxLocked)
    await expect(second).rejects.toThrow(path)
    release()
  })

  it('does not hinder a backup: the database itself can be copied and read', async () => {
    const folder = tempFolder()
    const path = join(folder, 'inbox.db')
    const release = await lock(path)
    await open(path)
    copyFileSync(path, join(folder, 'copy.db'))
    expect(readFileSync(join(folder, 'copy.db')).subarray(0, 15).toString()).toBe('SQLite format 3')
    release()
  })
})
