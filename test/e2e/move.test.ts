import { join } from 'node:path'
import pg from 'pg'
import { expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { openInbox } from '../../src/inbox/open.ts'
import { attempt, claimFrom, dead, done, progress } from '../inbox/contract/support.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { spawnReceiver } from '../support/process.ts'
import { delivery } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

const options = {
  ...{ clock: systemClock, minFree: 0, signal: new AbortController().signal },
  about: { version: '1', settings: {}, results: null, concurrency: 1 },
  ...{ onWait() {}, onLost() {}, onWarning() {}, onDeath() {} },
}

/** How many deliveries have been moved so far. */
async function arrived(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return Number((await client.query('SELECT count(*) FROM reducto_receiver.delivery')).rows[0].count)
  } finally {
    await client.end()
  }
}

it('moves an inbox into PostgreSQL: ids, jobs, dead letters and all that is known of them', async () => {
  const server = await startPostgres({ fsync: true })
  onTestFinished(() => server.stop())
  const path = join(tempFolder(), 'inbox.db')
  const from = await openInbox({ kind: 'sqlite', path }, options)
  const sent = Array.from({ length: 2_500 }, (_, index) => delivery(`job-${index}`, { metadata: { n: index } }))
  await Promise.all(sent.map((one) => from.accept(one)))
  await from.accept({ ...delivery('', { svixId: 'msg_ping' }), content: { is: 'ignored' }, endpoint: 'dev' })
  await from.accept(delivery('job-1', { svixId: 'msg_later', endpoint: 'dev' }))
  const claims = await claimFrom(from, 4)
  await from.settle(claims[0]!, dead(claims[0]!), attempt('dead', null), null)
  await from.settle(claims[1]!, done(claims[1]!), attempt(), { failures: 1, crashes: 0, dueAt: 5, spent: 7 })
  await from.settle(claims[2]!, progress(claims[2]!, { state: 'queued', stage: 'hand_over' }), attempt('saved'), null)
  await from.note({ who: 'cli:ada', role: 'cli', what: 'retry', filter: null, count: 1, ids: ['a'] })
  await from.pause(true, 'the move')
  const [stats, key, died] = [await from.stats(), await from.linkKey(), await from.get(claims[0]!.jobId)]
  const move = () => spawnReceiver(['move', '--to', server.url, '--json'], { DATABASE_URL: `sqlite:${path}` })
  const refused = move()
  expect(await refused.exited).toBe(1)
  expect(refused.output()).toContain('a service runs on')
  await from.stopAsked()
  await from.close()

  const first = move()
  // It goes on where it was.
  await vi.waitFor(async () => expect(await arrived(server.url)).toBeGreaterThan(0), 20_000)
  await first.end('SIGKILL')
  const moving = move()
  expect(await moving.exited, moving.output()).toBe(0)
  expect(JSON.parse(moving.output())).toMatchObject({ moved: { delivery: 2_502, job: 2_500, attempt: 3, action: 1 } })

  const to = await openInbox({ kind: 'postgres', url: server.url, location: 'test' }, options)
  onTestFinished(() => to.close())
  // What was in hand was interrupted.
  const { queued, running } = stats.jobs
  expect(await to.stats()).toEqual({
    ...stats,
    jobs: { ...stats.jobs, queued: queued + running, running: 0 },
    queued: { ...stats.queued, fetch: stats.queued.fetch + running },
    oldestQueuedAt: expect.any(Number),
    oldestDueAt: expect.any(Object),
  })
  expect(await to.linkKey()).toEqual(key)
  expect(await to.get(claims[0]!.jobId)).toEqual(died)
  expect(await to.bodies(['job-7'])).toEqual([sent[7]!.body])
  expect((await to.get('job-1'))!.deliveries).toHaveLength(2)
  expect((await to.service()).pause).toMatchObject({ reason: 'the move' })
  for (const one of sent.slice(0, 50)) expect(await to.accept(one)).toMatchObject({ duplicate: true })
  await to.pause(false)
  const again = await claimFrom(to, 8)
  expect(again.every(({ token }) => token > claims[3]!.token)).toBe(true)
  expect(await to.accept(delivery('new'))).toMatchObject({ duplicate: false })

  const twice = move()
  expect(await twice.exited).toBe(78)
  expect(twice.output()).toContain('only be moved into an empty one')
}, 120_000)

it('says of backup and restore which tools the server has, without its password', async () => {
  for (const command of ['backup', 'restore'] as const) {
    const env = { DATABASE_URL: 'postgres://user:hunter2-sentinel@db.internal/receiver' }
    const run = spawnReceiver([command, '/tmp/nowhere'], env)
    expect(await run.exited).toBe(1)
    expect(run.output()).toContain(command === 'backup' ? 'pg_dump' : 'pg_restore')
    expect(run.output()).not.toContain('sentinel')
  }
})
