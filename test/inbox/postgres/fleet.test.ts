import { randomBytes } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { createManualClock } from '../../support/manual-clock.ts'
import { testPostgres } from '../../support/postgres.ts'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, done, progress } from '../contract/support.ts'
import { beatAll, newSchema, openReplica, type ReplicaOptions } from './support.ts'

const server = testPostgres()

/** So many services on one inbox, and one clock. */
async function openFleet(count: number, options: Partial<ReplicaOptions> = {}) {
  const clock = options.clock ?? createManualClock()
  const schema = options.schema ?? newSchema()
  const opened = []
  for (let index = 0; index < count; index++)
    opened.push(await openReplica({ url: server.url, schema, clock, ...options }))
  return { clock, schema, replicas: opened }
}

describe('several services on one inbox', () => {
  it('take one of the copies that reach them in any order as new, make one job, and count right', async () => {
    const { replicas } = await openFleet(3)
    const jobs = 60
    const sent = Array.from({ length: jobs }, (_, index) => [
      delivery(`job-${index}`, { svixId: `msg_${index}_a` }),
      delivery(`job-${index}`, { svixId: `msg_${index}_b` }),
    ]).flat()
    const orders = [sent, sent.toReversed(), [...sent.slice(60), ...sent.slice(0, 60)]]
    const receipts = await Promise.all(
      replicas.flatMap(({ inbox }, index) => orders[index]!.map((one) => inbox.accept(one))),
    )
    expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(sent.length)
    const { inbox } = replicas[0]!
    expect(await inbox.stats()).toMatchObject({ jobs: { queued: jobs }, deliveries: { job: sent.length } })
    const claims = await Promise.all(replicas.map((one) => claimFrom(one.inbox, 100)))
    const ids = claims.flat().map(({ jobId }) => jobId)
    expect(new Set(ids).size).toBe(ids.length)
    for (let left = ids.length; left < jobs; ) {
      const more = await claimFrom(inbox, 100)
      expect(more.length).toBeGreaterThan(0)
      left += more.length
    }
    const detail = (await inbox.get('job-7'))!
    expect(detail.deliveries.map(({ arrivals }) => arrivals)).toEqual([3, 3])
    expect((await inbox.list({ q: 'msg_7_' }, { limit: 9 })).rows).toHaveLength(1)
  })

  it('take over what a dead one had in hand, and it can settle nothing afterwards', async () => {
    const { replicas } = await openFleet(2)
    const [dead, other] = [replicas[0]!, replicas[1]!]
    await dead.inbox.accept(delivery('job-1'))
    const [claim] = await claimFrom(dead.inbox, 1)
    await beatAll(replicas, 2)
    await beatAll([other], 4)
    expect(await claimFrom(other.inbox, 1)).toEqual([])
    await beatAll([other], 1)
    const [again] = await claimFrom(other.inbox, 1)
    expect(again).toMatchObject({ jobId: 'job-1', progress: { crashes: 1 } })
    expect(await dead.inbox.lost([claim!])).toEqual([claim])
    expect(await dead.inbox.settle(claim!, done(claim!), attempt(), null)).toBe(false)
    expect(dead.lost).toEqual([])
    expect(await claimFrom(dead.inbox, 1)).toEqual([])
    // It learns of it with its next beat, and is one of them again.
    expect(await dead.beat()).toMatchObject({ isAlive: false })
    await dead.inbox.accept(delivery('job-2'))
    expect(await claimFrom(dead.inbox, 1)).toMatchObject([{ jobId: 'job-2' }])
    expect(await other.inbox.settle(again!, done(again!), attempt(), null)).toBe(true)
  })

  it('tell a service that was taken for dead which claims it has lost', async () => {
    const { replicas } = await openFleet(2)
    const [frozen, other] = [replicas[0]!, replicas[1]!]
    for (const id of ['a', 'b']) await frozen.inbox.accept(delivery(id))
    const claims = await claimFrom(frozen.inbox, 2)
    await beatAll(replicas, 1)
    await beatAll([other], 6)
    await frozen.beat()
    expect(frozen.lost.map(({ jobId }) => jobId).sort()).toEqual(['a', 'b'])
    expect(await other.inbox.lost(claims)).toHaveLength(2)
  })

  it('register once when they were taken for dead, however often they hear of it', async () => {
    const { replicas } = await openFleet(2)
    const [frozen, other] = [replicas[0]!, replicas[1]!]
    await beatAll(replicas, 1)
    await beatAll([other], 6)
    const result = await frozen.beat()
    await frozen.inbox.accept(delivery('job-1'))
    const claims = await claimFrom(frozen.inbox, 1)
    // A second beat under the old number, whose message comes late.
    await frozen.hear(result)
    expect(await other.inbox.replicas()).toHaveLength(2)
    expect(frozen.lost).toEqual([])
    expect(await frozen.inbox.lost(claims)).toEqual([])
  })

  it('stop what one does alone before another may begin it', async () => {
    const { replicas, clock } = await openFleet(1)
    const begun = Promise.withResolvers<AbortSignal>()
    const running = replicas[0]!.inbox.exclusively('retention', async (signal) => {
      begun.resolve(signal)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    const signal = await begun.promise
    await beatAll(replicas, 1)
    // Two seconds before others may take it for dead.
    clock.advance(8_000)
    await vi.waitFor(() => expect(signal.aborted).toBe(true), 3_000)
    await running
  })

  it('take nothing from anybody after an outage in which nobody reached the database', async () => {
    const { replicas, clock } = await openFleet(3)
    for (const id of ['a', 'b', 'c']) await replicas[0]!.inbox.accept(delivery(id))
    const [claim] = await claimFrom(replicas[0]!.inbox, 1)
    await beatAll(replicas, 3)
    clock.advance(30_000)
    // The first one back has nothing to judge the others by.
    await replicas[2]!.beat()
    await replicas[1]!.beat()
    await replicas[0]!.beat()
    await beatAll(replicas, 3)
    expect(replicas.flatMap(({ lost }) => lost)).toEqual([])
    expect(await replicas[0]!.inbox.settle(claim!, done(claim!), attempt(), null)).toBe(true)
    expect(await replicas[1]!.inbox.get(claim!.jobId)).toMatchObject({ state: 'done', crashes: 0 })
  })

  it('count no crash for what a service had in hand that was asked to stop', async () => {
    const { replicas } = await openFleet(2)
    const [stopped, other] = [replicas[0]!, replicas[1]!]
    await stopped.inbox.accept(delivery('job-1'))
    await claimFrom(stopped.inbox, 1)
    await stopped.inbox.stopAsked()
    await stopped.inbox.close()
    await other.beat()
    expect(await claimFrom(other.inbox, 1)).toMatchObject([{ progress: { crashes: 0 } }])
  })

  it('let a job that must run alone do so within one of them, while the others go on', async () => {
    const { replicas } = await openFleet(2)
    const [first, second] = [replicas[0]!, replicas[1]!]
    await first.inbox.accept(delivery('crasher'))
    const [claim] = await claimFrom(first.inbox, 1)
    await first.inbox.settle(
      claim!,
      progress(claim!, { state: 'queued', crashes: 2 }),
      attempt('interrupted', null),
      null,
    )
    for (const id of ['a', 'b', 'c']) await first.inbox.accept(delivery(id))
    expect(await claimFrom(first.inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    expect(await claimFrom(first.inbox, 8)).toEqual([])
    expect((await claimFrom(second.inbox, 8)).map(({ jobId }) => jobId).sort()).toEqual(['a', 'b', 'c'])
  })

  it('have the job that must run alone run elsewhere when its service dies', async () => {
    const { replicas } = await openFleet(2)
    const [first, second] = [replicas[0]!, replicas[1]!]
    await first.inbox.accept(delivery('crasher'))
    const [claim] = await claimFrom(first.inbox, 1)
    await first.inbox.settle(
      claim!,
      progress(claim!, { state: 'queued', crashes: 2 }),
      attempt('interrupted', null),
      null,
    )
    expect(await claimFrom(first.inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    await first.inbox.close()
    await second.beat()
    expect(await claimFrom(second.inbox, 8)).toMatchObject([{ jobId: 'crasher', progress: { crashes: 3 } }])
  })

  it('hear of a pause, its end, and what others have queued', async () => {
    const { replicas, clock } = await openFleet(2)
    const [receiver, worker] = [replicas[0]!, replicas[1]!]
    await receiver.inbox.pause(true, 'upgrade')
    await receiver.inbox.accept(delivery('job-1'))
    expect(await claimFrom(worker.inbox, 1)).toEqual([])
    await receiver.inbox.pause(false)
    const ready = worker.inbox.ready('fetch', AbortSignal.timeout(30_000))
    clock.advance(1_000)
    await ready
    expect(await claimFrom(worker.inbox, 1)).toMatchObject([{ jobId: 'job-1' }])
    await receiver.inbox.pause(true, 'upgrade')
    await vi.waitFor(() => expect(worker.inbox.isPaused()).toBe(true), 5_000)
    expect(worker.inbox.operatorPause()).toMatchObject({ reason: 'upgrade' })
  })

  it('wake each other by notifications, without any time passing', async () => {
    const { replicas } = await openFleet(2, { listens: true })
    const [receiver, worker] = [replicas[0]!, replicas[1]!]
    expect(await claimFrom(worker.inbox, 1)).toEqual([])
    const ready = worker.inbox.ready('fetch', AbortSignal.timeout(30_000))
    // Listening begins beside the start: what is queued before it is found by looking.
    const stop = setInterval(() => void receiver.inbox.accept(delivery(`job-${performance.now()}`)), 100)
    await ready
    clearInterval(stop)
    expect((await claimFrom(worker.inbox, 1)).length).toBe(1)
  })

  it('do a task one at a time, and take it over from a dead one, which stops', async () => {
    const { replicas } = await openFleet(2)
    const [first, second] = [replicas[0]!, replicas[1]!]
    const begun = Promise.withResolvers<AbortSignal>()
    const running = first.inbox.exclusively('retention', async (signal) => {
      begun.resolve(signal)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    const signal = await begun.promise
    expect(await second.inbox.exclusively('retention', async () => expect.unreachable())).toBe(false)
    await beatAll(replicas, 1)
    await beatAll([second], 6)
    expect(await second.inbox.exclusively('retention', async () => {})).toBe(true)
    // It has not reached the database for as long as it takes to be taken for dead.
    await vi.waitFor(() => expect(signal.aborted).toBe(true), 5_000)
    await running
  })

  it('know each other, and what each has set', async () => {
    const { replicas } = await openFleet(2, { settings: { RETENTION: 'aabbccdd' }, concurrency: 0 })
    const known = await replicas[0]!.inbox.replicas()
    expect(known).toHaveLength(2)
    expect(known[0]).toMatchObject({ version: '1', settings: { RETENTION: 'aabbccdd' }, concurrency: 0, results: null })
    expect(known[0]!.silentFor).toBeLessThan(60_000)
    await replicas[1]!.inbox.close()
    expect(await replicas[0]!.inbox.replicas()).toHaveLength(1)
  })

  it('start ten at once on an empty database', async () => {
    const schema = newSchema()
    const opened = await Promise.all(Array.from({ length: 10 }, () => openReplica({ url: server.url, schema })))
    expect(await opened[9]!.inbox.replicas()).toHaveLength(10)
  })
})

describe('what PostgreSQL cannot store', () => {
  it('is replaced in texts, alone in its batch or not, and bodies are kept exactly', async () => {
    const { replicas } = await openFleet(1)
    const { inbox } = replicas[0]!
    const odd = [
      delivery('nul', { status: 'a\0b', svixId: 'msg_nul' }),
      delivery('half', { status: 'c\ud800d', svixId: 'msg_\udc00' }),
      { ...delivery('', { svixId: 'msg_bad' }), body: '\0', content: { is: 'rejected', reason: 'a\0' } } as const,
      delivery('big', { metadata: 'x'.repeat(1024 * 1024 - 200) }),
      delivery('plain'),
    ]
    const receipts = await Promise.all(odd.map((one) => inbox.accept(one)))
    expect(receipts.map(({ duplicate }) => duplicate)).toEqual(odd.map(() => false))
    expect(await inbox.accept(odd[1]!)).toMatchObject({ duplicate: true })
    expect(await inbox.get('nul')).toMatchObject({ status: 'a\ufffdb' })
    expect(await inbox.delivery('msg_bad')).toMatchObject({ note: 'a\ufffd', body: '\0' })
    expect((await inbox.list({ status: 'a\0b' }, { limit: 9 })).rows).toMatchObject([{ jobId: 'nul' }])
    expect((await inbox.list({ q: '\0' }, { limit: 9 })).rows).toEqual([])
    const claims = await claimFrom(inbox, 8)
    expect(claims.find(({ jobId }) => jobId === 'big')!.body).toBe(odd[3]!.body)
    const reason = { code: 'x', message: 'broken \0 \ud800' as never }
    for (const claim of claims)
      expect(await inbox.settle(claim, progress(claim, { state: 'dead', reason }), attempt(), null)).toBe(true)
    expect((await inbox.get('nul'))!.reason).toEqual({ code: 'x', message: 'broken \ufffd \ufffd' })
  })
  it('is refused alone when it is too long for an index', async () => {
    const { replicas } = await openFleet(1)
    const { inbox } = replicas[0]!
    const long = randomBytes(6_000).toString('base64')
    const batch = [delivery('a'), delivery('b', { svixId: long }), delivery('c')]
    const ended = await Promise.allSettled(batch.map((one) => inbox.accept(one)))
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })
})
