import { expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { openInbox } from '../../../src/inbox/open.ts'
import { createLane } from '../../../src/inbox/postgres/lane.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { testPostgres } from '../../support/postgres.ts'
import { isCommit, postgresProxy } from '../../support/postgres-proxy.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, done, progress } from '../contract/support.ts'
import { newSchema, openReplica } from './support.ts'

const server = testPostgres()

/** A service behind a network that a test breaks. */
async function openBehindProxy(listens = false) {
  const proxy = await postgresProxy(server.url)
  const schema = newSchema()
  const clock = createManualClock()
  const replica = await openReplica({ url: proxy.url, schema, clock, listens })
  const other = await openReplica({ url: server.url, schema, clock })
  return { proxy, ...replica, other, schema }
}

/** The answer to the next COMMIT is lost: nobody can tell whether it was kept. */
function loseNextCommit(proxy: { decide: (type: string, body: string) => 'pass' | 'drop' | 'cut' }): void {
  proxy.decide = (type, body) => {
    if (!isCommit(type, body)) return 'pass'
    proxy.decide = () => 'pass'
    return 'cut'
  }
}

it('answers 503 when the answer to an accept’s commit is lost, and knows the delivery when it comes again', async () => {
  const { proxy, inbox } = await openBehindProxy()
  const one = delivery('job-1')
  loseNextCommit(proxy)
  await expect(inbox.accept(one)).rejects.toMatchObject({ name: 'InboxUnavailable', code: 'failed' })
  expect(await inbox.accept(one)).toMatchObject({ duplicate: true, job: 'queued' })
  expect((await inbox.stats()).jobs.queued).toBe(1)
})

it('tells of a settlement whose answer was lost that it was kept, once', async () => {
  const { proxy, inbox } = await openBehindProxy()
  await inbox.accept(delivery('job-1'))
  const [claim] = await claimFrom(inbox, 1)
  loseNextCommit(proxy)
  await expect(inbox.settle(claim!, done(claim!), attempt(), null)).rejects.toMatchObject({ code: 'failed' })
  expect(await inbox.settle(claim!, done(claim!), attempt(), null)).toBe(true)
  expect(await inbox.settle(claim!, done(claim!), attempt(), null)).toBe(false)
  expect((await inbox.get('job-1'))!.attempts).toHaveLength(1)
})

it('gives out again, without a crash, what a claim took whose answer was lost', async () => {
  const { proxy, inbox } = await openBehindProxy()
  for (const id of ['a', 'b']) await inbox.accept(delivery(id))
  const [held] = await claimFrom(inbox, 1)
  loseNextCommit(proxy)
  await expect(claimFrom(inbox, 1)).rejects.toMatchObject({ name: 'InboxUnavailable' })
  const again = await claimFrom(inbox, 8)
  expect(again).toHaveLength(1)
  expect(again[0]).toMatchObject({ progress: { crashes: 0 } })
  expect(again[0]!.jobId).not.toBe(held!.jobId)
  expect(await inbox.settle(held!, done(held!), attempt(), null)).toBe(true)
})

it('is failing while the database is cut off, accepts again by itself, and nothing was taken from it', async () => {
  const { proxy, inbox, other } = await openBehindProxy()
  await inbox.accept(delivery('job-1'))
  const [claim] = await claimFrom(inbox, 1)
  proxy.cut()
  await expect(inbox.accept(delivery('job-2'))).rejects.toMatchObject({ name: 'InboxUnavailable', code: 'failed' })
  expect(inbox.isFailing()).toBe(true)
  proxy.heal()
  await vi.waitFor(() => expect(inbox.isFailing()).toBe(false), 10_000)
  expect(await inbox.accept(delivery('job-2'))).toMatchObject({ duplicate: false })
  await other.beat()
  expect(await inbox.settle(claim!, done(claim!), attempt(), null)).toBe(true)
})

it('refuses what is not durable in time when the network is frozen', async () => {
  const { proxy, inbox } = await openBehindProxy()
  await inbox.accept(delivery('job-1'))
  proxy.freeze()
  await expect(inbox.accept(delivery('job-2'))).rejects.toMatchObject({
    ...{ name: 'InboxUnavailable', code: expect.stringMatching(/^(slow|failed)$/) },
  })
  proxy.heal()
  await vi.waitFor(async () => expect(await inbox.accept(delivery('job-3'))).toMatchObject({ job: 'queued' }), 20_000)
})

it('accepts again before the sender gives up when its connections hang, and new ones do not', async () => {
  const { proxy, inbox } = await openBehindProxy()
  // Over both of its connections.
  for (const id of ['a', 'b']) await inbox.accept(delivery(id))
  proxy.decide = (type) => {
    if (type !== 'R') return 'drop'
    proxy.decide = () => 'pass'
    return 'pass'
  }
  expect(await inbox.accept(delivery('job-2'))).toMatchObject({ job: 'queued' })
})

it('looks for news when a pooler lets it listen and delivers nothing, and says so', async () => {
  const { proxy, warnings } = await openBehindProxy()
  proxy.decide = (type) => (type === 'A' ? 'drop' : 'pass')
  const deaf = await openReplica({ url: proxy.url, schema: newSchema(), listens: true })
  // Not heard within some seconds: one line.
  await deaf.inbox.accept(delivery('job-1'))
  await vi.waitFor(() => expect(deaf.warnings).toEqual([expect.stringContaining('no notifications arrive')]), 15_000)
  expect(warnings).toEqual([])
  await claimFrom(deaf.inbox, 1)
  const ready = deaf.inbox.ready('fetch', AbortSignal.timeout(10_000))
  expect(await Promise.race([deaf.clock.sleeping(250).then(() => 'polls'), ready])).toBe('polls')
})

it('goes on without prepared statements when a pooler refuses them, and loses nothing', async () => {
  const naming = { named: true }
  const lane = createLane({ url: server.url, schema: 'public', name: 'test', naming })
  onTestFinished(() => lane.close())
  const count = () => lane.transaction((tx) => tx.query<{ n: number }>('SELECT $1::integer AS n', [7]))
  expect(await count()).toEqual([{ n: 7 }])
  // As a pooler does that gives the next transaction another connection.
  await lane.transaction((tx) => tx.all([{ text: 'DEALLOCATE ALL' }]))
  expect(await count()).toEqual([{ n: 7 }])
  expect(naming.named).toBe(false)
})

it('makes a new connection when the server ended the last one', async () => {
  const lane = createLane({ url: server.url, schema: 'public', name: 'test', naming: { named: true } })
  const other = createLane({ url: server.url, schema: 'public', name: 'other', naming: { named: true } })
  onTestFinished(async () => {
    await lane.close()
    await other.close()
  })
  const [own] = await lane.transaction((tx) => tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', []))
  await other.transaction((tx) => tx.query('SELECT pg_terminate_backend($1)', [own!.pid]))
  const [next] = await lane.transaction((tx) => tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', []))
  expect(next!.pid).not.toBe(own!.pid)
})

it('tells of a transaction that was rolled back, whatever the COMMIT answers', async () => {
  const lane = createLane({ url: server.url, schema: 'public', name: 'test', naming: { named: true } })
  onTestFinished(() => lane.close())
  const failing = lane.transaction((tx) => tx.commit([{ text: 'SELECT 1 / $1::integer', values: [0] }]))
  await expect(failing).rejects.toMatchObject({ code: '22012' })
  expect(await lane.transaction((tx) => tx.query<{ n: number }>('SELECT $1::integer AS n', [1]))).toEqual([{ n: 1 }])
})

const about = { version: '1', settings: {}, results: null, concurrency: 1 }
const opening = (url: string, signal: AbortSignal, waits: string[]) =>
  openInbox(
    { kind: 'postgres', url, location: 'postgres://test/db' },
    {
      ...{ clock: systemClock, minFree: 0, signal, about },
      onWait: (why, message) => void waits.push(`${why}: ${message}`),
      ...{ onLost() {}, onWarning() {}, onDeath() {} },
    },
  )

it('waits at its start for a database that is away, and takes one that keeps nothing for no database', async () => {
  const own = await startPostgres({ fsync: true })
  onTestFinished(() => own.stop())
  await own.kill('SIGKILL')
  const waits: string[] = []
  const stop = new AbortController()
  const inbox = opening(own.url, stop.signal, waits)
  await vi.waitFor(() => expect(waits).toEqual([expect.stringMatching(/^unreachable: .*(ENOENT|ECONNREFUSED)/)]))
  await own.start()
  const opened = await inbox
  expect(await opened.accept(delivery('job-1'))).toMatchObject({ duplicate: false })
  await opened.close()
  await expect(opening(server.url, stop.signal, [])).rejects.toMatchObject({
    name: 'DatabaseRefused',
    message: expect.stringContaining('fsync = off'),
  })
  await expect(opening(own.url.replace('/postgres?', '/nowhere?'), stop.signal, [])).rejects.toMatchObject({
    name: 'DatabaseRefused',
    message: expect.stringContaining('nowhere'),
  })
})

it('keeps what it has acknowledged when the server is killed, and its jobs', async () => {
  const own = await startPostgres({ fsync: true })
  onTestFinished(() => own.stop())
  const schema = newSchema()
  const clock = createManualClock()
  const { inbox } = await openReplica({ url: own.url, schema, clock })
  await inbox.accept(delivery('job-1'))
  const [claim] = await claimFrom(inbox, 1)
  const acknowledged: string[] = []
  const accepting = Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      const one = delivery(`many-${index}`)
      await inbox.accept(one).then(
        () => acknowledged.push(one.svixId),
        () => {},
      )
    }),
  )
  await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(0))
  await own.kill('SIGKILL')
  await accepting
  await own.start()
  await vi.waitFor(async () => expect(await inbox.accept(delivery('after'))).toMatchObject({ job: 'queued' }), 20_000)
  for (const svixId of acknowledged) expect(await inbox.delivery(svixId), svixId).not.toBeNull()
  await vi.waitFor(async () => expect(await inbox.settle(claim!, done(claim!), attempt(), null)).toBe(true), 20_000)
})

it('does not give out again what the other stage claims while the answer to a claim is lost', async () => {
  const { proxy, inbox } = await openBehindProxy()
  for (const id of ['a', 'b']) await inbox.accept(delivery(id))
  const [first] = await claimFrom(inbox, 1)
  await inbox.settle(first!, progress(first!, { state: 'queued', stage: 'hand_over' }), attempt(), null)
  loseNextCommit(proxy)
  const lost = claimFrom(inbox, 1).catch((error: Error) => error.name)
  const held = claimFrom(inbox, 1, 'hand_over')
  expect(await lost).toBe('InboxUnavailable')
  // Before the other stage has its answer.
  const again = claimFrom(inbox, 1)
  const [claim] = await held
  expect(claim).toMatchObject({ jobId: first!.jobId })
  expect((await again).map(({ jobId }) => jobId)).toEqual([first!.jobId === 'a' ? 'b' : 'a'])
  expect(await inbox.lost([claim!])).toEqual([])
})

it('closes while nothing answers, with an accept, a question and a change under way', async () => {
  const { proxy, inbox } = await openBehindProxy()
  await inbox.accept(delivery('job-1'))
  await inbox.stats()
  proxy.freeze()
  const hanging = [inbox.accept(delivery('job-2')), inbox.stats(), inbox.pause(true, 'x'), inbox.stats()]
  const ended = Promise.allSettled(hanging)
  const began = performance.now()
  await inbox.close()
  expect(performance.now() - began).toBeLessThan(3_000)
  expect((await ended).map(({ status }) => status)).toEqual(hanging.map(() => 'rejected'))
})
