import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqlite } from '../../../src/inbox/sqlite/inbox.ts'
import { MIGRATIONS } from '../../../src/inbox/sqlite/schema.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { freeSlots } from '../../support/service.ts'
import { tempFolder } from '../../support/temp.ts'

/** A database as version 3 or 4 left it, with a job in every state, comes through the migrations whole. */

const NOW = 1_700_000_000_000

/** Job `seq` with its first delivery, its body and an attempt. */
function insertJob(db: DatabaseSync, seq: number, columns: Record<string, string | number | null>): void {
  const jobId = `job-${seq}`
  db.prepare(
    `INSERT INTO delivery (seq, svix_id, endpoint, disposition, job_id, status, further, received_at, last_at)
     VALUES (:seq, :svixId, 'default', 'job', :jobId, 'Completed', 0, :at, :at)`,
  ).run({ seq, svixId: `msg_${seq}`, jobId, at: NOW })
  db.prepare('INSERT INTO delivery_body VALUES (:seq, :body)').run({ seq, body: Buffer.from(`body of ${jobId}`) })
  db.prepare(
    `INSERT INTO attempt (job, token, started_at, ms, outcome, code, message, saved_status, task, type)
     VALUES (:seq, :seq, :at, 7, 'retry', 'http_503', 'Reducto answered 503', NULL, 'fetch', NULL)`,
  ).run({ seq, at: NOW })
  const all = {
    ...{ seq, job_id: jobId, announced: 'Completed', endpoint: 'default', first_delivery: seq, due_at: NOW },
    ...{ created_at: NOW, queued_at: NOW, updated_at: NOW, token: seq, ...columns },
  }
  const names = Object.keys(all)
  db.prepare(`INSERT INTO job (${names}) VALUES (${names.map((name) => `:${name}`)})`).run(all)
}

function version3(path: string): void {
  const db = new DatabaseSync(path)
  db.exec(`${MIGRATIONS.slice(0, 3).join('\n')} PRAGMA user_version = 3`)
  insertJob(db, 1, { state: 'queued', failures: 3, polls: 2, spent: 5_000, round: 4, fetch_since: 2 })
  insertJob(db, 2, { state: 'running', crashes: 1 })
  insertJob(db, 3, { state: 'done', saved_status: 'Completed', type: 'Parse', stage: 'hand_over' })
  insertJob(db, 4, { state: 'dead', reason_code: 'http_400', reason_message: 'Reducto answered 400' })
  insertJob(db, 5, { state: 'expected', announced: null })
  insertJob(db, 6, { state: 'queued', crashes: 3, due_at: NOW + 60_000 })
  db.exec(`
    INSERT INTO delivery (seq, svix_id, endpoint, disposition, job_id, status, further, received_at, last_at)
      VALUES (7, 'msg_later', 'dev', 'job', 'job-3', 'Completed', 1, ${NOW}, ${NOW});
    INSERT INTO delivery_body VALUES (7, x'7b7d');
    INSERT INTO delivery (seq, svix_id, endpoint, disposition, note, received_at, last_at)
      VALUES (8, 'msg_rejected', 'default', 'rejected', 'not an object', ${NOW}, ${NOW});
    INSERT INTO job_endpoint VALUES ('job-3', 'dev');
    INSERT INTO side_files (job, failures, crashes, due_at, spent, token, running)
      VALUES (3, 1, 0, ${NOW}, 1000, 40, 0), (4, 2, 0, ${NOW}, 2000, 41, 1);
    INSERT INTO secret VALUES ('links', zeroblob(32));
    INSERT INTO counter VALUES ('job:queued', 2), ('job:running', 1), ('job:done', 1), ('job:dead', 1),
      ('job:expected', 1), ('delivery:job', 7), ('delivery:rejected', 1);
    UPDATE counter SET value = 41 WHERE name = 'token';
  `)
  db.close()
}

/** The same rows in version 4, with a delivery that was ignored, while an operator has stopped claims. */
function version4(path: string): void {
  version3(path)
  const db = new DatabaseSync(path)
  db.exec(`${MIGRATIONS[3]} PRAGMA user_version = 4`)
  db.exec(`
    INSERT INTO delivery (seq, svix_id, endpoint, disposition, received_at, last_at)
      VALUES (9, 'msg_ignored', 'default', 'ignored', ${NOW}, ${NOW});
    INSERT INTO delivery_body VALUES (9, CAST('{"state":"Completed","id":"job-9"}' AS BLOB));
    INSERT INTO counter VALUES ('delivery:ignored', 1), ('paused', 1);
  `)
  db.close()
}

async function migrated(make: (path: string) => void) {
  const path = join(tempFolder(), 'inbox.db')
  make(path)
  const clock = createManualClock(NOW)
  const onDeath = (error: Error) => expect.unreachable(error.message)
  const inbox = await openSqlite({ path, clock, minFree: 0, isService: true, onDeath })
  onTestFinished(() => inbox.close())
  return { path, clock, inbox }
}

const attempt = { task: 'fetch', outcome: 'retry', reason: { code: 'http_503', message: 'Reducto answered 503' } }

describe.each([
  ['3', version3],
  ['4', version4],
] as const)('from version %s', (_, make) => {
  it('brings every job through, in its state, with its deliveries and attempts', async () => {
    const { inbox } = await migrated(make)
    const common = { endpoint: 'default', createdAt: NOW, attempts: [attempt] }
    expect(await inbox.get('job-1')).toMatchObject({ ...common, state: 'queued', stage: 'fetch', failures: 3 })
    expect(await inbox.get('job-3')).toMatchObject({
      ...common,
      ...{ state: 'done', stage: 'hand_over', status: 'Completed', type: 'Parse', endpoints: ['default', 'dev'] },
      deliveries: [{ svixId: 'msg_3' }, { svixId: 'msg_later', endpoint: 'dev' }],
    })
    expect(await inbox.get('job-4')).toMatchObject({ state: 'dead', reason: { code: 'http_400' } })
    expect(await inbox.get('job-5')).toMatchObject({ ...common, state: 'expected', status: null })
    // What was running when the version before ended has crashed.
    expect(await inbox.get('job-2')).toMatchObject({
      ...{ state: 'queued', crashes: 2 },
      attempts: [{ outcome: 'crashed', task: 'fetch' }],
    })
    expect(await inbox.get('job-6')).toMatchObject({ state: 'queued', crashes: 3, dueAt: NOW + 60_000 })
    expect(await inbox.stats()).toMatchObject({
      jobs: { queued: 3, running: 0, done: 1, dead: 1, expected: 1 },
      deliveries: { job: 7, rejected: 1 },
    })
    expect((await inbox.list({ q: 'msg_later' }, { limit: 9 })).rows).toMatchObject([{ jobId: 'job-3' }])
    expect(await inbox.linkKey()).toEqual(Buffer.alloc(32))
  })

  it('gives out what is due with all that was known, and tokens go on', async () => {
    const { inbox, clock } = await migrated(make)
    await inbox.pause(false)
    const [alone] = await inbox.claim('fetch', freeSlots(9))
    expect(alone).toMatchObject({ jobId: 'job-2', body: 'body of job-2', svixId: 'msg_2', announced: 'Completed' })
    expect(alone!.token).toBeGreaterThan(41)
    await inbox.settle(
      alone!,
      { ...alone!.progress, state: 'done' },
      {
        ...{ startedAt: NOW, ms: 1, task: 'fetch', outcome: 'done', reason: null },
        savedStatus: 'Completed',
        type: 'Parse',
      },
      null,
    )
    const claims = await inbox.claim('fetch', freeSlots(9))
    expect(claims).toMatchObject([
      { jobId: 'job-1', round: 4, fetchSince: 2, progress: { failures: 3, polls: 2, spent: 5_000 } },
      { jobId: 'job-3', task: 'side_files', sideFiles: { failures: 1, spent: 1_000 } },
    ])
    clock.advance(5_000)
    // The try that died is due again a moment later.
    expect(await inbox.claim('fetch', freeSlots(9))).toMatchObject([{ jobId: 'job-4', task: 'side_files' }])
  })

  it('leaves no column or index that nothing uses', async () => {
    const { path, inbox } = await migrated(make)
    expect(await inbox.erase('job-5')).toBe('erased')
    const db = new DatabaseSync(path, { readOnly: true })
    onTestFinished(() => db.close())
    const schema = (db.prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL').all() as { sql: string }[]).map(
      ({ sql }) => sql,
    )
    expect(schema.filter((sql) => /\bnote\b|\bfurther\b/.test(sql))).toEqual([])
    expect(db.prepare(`SELECT name FROM counter WHERE name = 'paused'`).all()).toEqual([])
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length })
  })
})

/** What version 5 left, with many dead jobs. */
function version5(path: string): void {
  version4(path)
  const db = new DatabaseSync(path)
  db.exec(
    `${MIGRATIONS[4]} PRAGMA user_version = 5; DELETE FROM operator_pause; UPDATE job SET state = 'done' WHERE state = 'dead'`,
  )
  db.exec(`
    INSERT INTO job (job_id, state, stage, endpoint, due_at, created_at, queued_at, updated_at, reason_code, reason_message, crashes)
      VALUES ('handing', 'queued', 'hand_over', 'default', ${NOW}, ${NOW}, ${NOW}, ${NOW}, NULL, NULL, 0),
        ('lone', 'queued', 'hand_over', 'default', ${NOW}, ${NOW}, ${NOW}, ${NOW}, NULL, NULL, 3);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO job (job_id, state, endpoint, due_at, created_at, queued_at, updated_at, reason_code, reason_message)
      SELECT 'dead-' || i, 'dead', 'default', ${NOW}, ${NOW}, ${NOW}, ${NOW} + i, 'http_500', 'job ' || i || ' failed' FROM n;
    UPDATE counter SET value = value + 20000 WHERE name = 'job:dead';
    UPDATE counter SET value = value + 2 WHERE name = 'job:queued';
  `)
  db.close()
}

describe('what version 6 has for operators', () => {
  it('groups the dead of version 5 by cause, and knows what waits to be handed over', async () => {
    const { inbox } = await migrated(version5)
    expect(await inbox.causes()).toEqual([
      {
        ...{ cause: 'http_500: job # failed', code: 'http_500', jobs: 20_000, types: [], endpoints: ['default'] },
        ...{ firstAt: NOW + 1, lastAt: NOW + 20_000, sample: 'dead-20000', soonestCreatedAt: NOW },
      },
    ])
    expect((await inbox.stats()).queued.hand_over).toBe(2)
    expect(await inbox.get('job-1')).toMatchObject({ actions: [], attempts: [{ round: null, calls: null }] })
    expect(await inbox.requeue({ cause: 'http_500: job # failed', jobId: 'dead-7' })).toBe(1)
    expect(await inbox.causes()).toMatchObject([{ jobs: 19_999 }])
  })

  it('keeps bodies and texts of version 5 until their time is over', async () => {
    const { inbox } = await migrated(version5)
    // Of job-3 and job-4 the bodies, the later one of job-3, one of no job, and three texts: a try at job-4 had died.
    expect(await inbox.pruneBodies(NOW + 1)).toBe(7)
    expect(await inbox.bodies(['job-1', 'job-3'])).toEqual(['body of job-1', null])
  })
})

describe('what version 5 has for operators', () => {
  it('finds what version 4 recorded: no reason where none was kept, and a pause that still holds', async () => {
    const { inbox, clock } = await migrated(version4)
    expect(await inbox.deliveries({ disposition: 'rejected' }, { limit: 9 })).toMatchObject({
      ...{ rows: [{ svixId: 'msg_rejected', jobId: null, note: null }], next: null },
    })
    expect((await inbox.stats()).paused).toBe(true)
    expect(await inbox.service()).toEqual({
      pause: { since: expect.any(Number), reason: null },
      startedAt: clock.now(),
    })
    expect(await inbox.claim('fetch', freeSlots(9))).toEqual([])
    await inbox.pause(false)
    expect(await inbox.claim('fetch', freeSlots(9))).toHaveLength(1)
    expect((await inbox.service()).pause).toBeNull()
  })

  it('reads a delivery again that version 4 recorded', async () => {
    const { inbox } = await migrated(version4)
    const content = { is: 'job', jobId: 'job-9', status: 'Completed' } as const
    expect(await inbox.reread('msg_ignored', content)).toBe('job')
    expect(await inbox.get('job-9')).toMatchObject({ state: 'queued', deliveries: [{ svixId: 'msg_ignored' }] })
    expect((await inbox.stats()).deliveries).toMatchObject({ job: 8, ignored: 0 })
  })

  it('is not paused where version 3 was not', async () => {
    const { inbox } = await migrated(version3)
    expect((await inbox.service()).pause).toBeNull()
  })

  it('keeps the reason of what is rejected from now on', async () => {
    const { inbox } = await migrated(version3)
    const rejected = { is: 'rejected', reason: 'not JSON' } as const
    await inbox.accept({ svixId: 'msg_new', endpoint: 'default', receivedAt: NOW, body: '{', content: rejected })
    expect(await inbox.delivery('msg_new')).toMatchObject({ note: 'not JSON', body: '{' })
  })
})
