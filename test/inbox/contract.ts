import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Attempt, Claim, Inbox, JobFilter } from '../../src/inbox/inbox.ts'
import type { CleanReason, JobProgress, Stage } from '../../src/job.ts'
import type { CleanText } from '../../src/scrub.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { delivery, places } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'
import { operatorsContract } from './contract/operators.ts'

/** Opens an inbox on what is kept under `place`; opened again, it is the same inbox after a restart. */
export type OpenForTest = (options: { place: string; clock: ManualClock }) => Promise<Inbox>

const DAY = 86_400_000

const because = (code: string, message: string): CleanReason => ({ code, message: message as CleanText })

/** What every inbox promises, whatever it stores things in. */
export function inboxContract(name: string, openForTest: OpenForTest): void {
  async function openTest() {
    const place = tempFolder()
    const clock = createManualClock()
    const opened: Inbox[] = []
    const open = async () => {
      const inbox = await openForTest({ place, clock })
      opened.push(inbox)
      return { inbox }
    }
    onTestFinished(async () => {
      for (const inbox of opened) await inbox.close()
    })
    return { clock, open, ...(await open()) }
  }

  const attempt = (outcome = 'done', savedStatus: string | null = 'Completed'): Attempt => ({
    startedAt: 1_000,
    ms: 5,
    task: 'fetch',
    outcome,
    reason: null,
    savedStatus,
    type: savedStatus && 'Parse',
  })
  const progress = (claim: Claim, change: Partial<JobProgress>): JobProgress => ({ ...claim.progress, ...change })
  const done = (claim: Claim) => progress(claim, { state: 'done' })
  const dead = (claim: Claim) => progress(claim, { state: 'dead', reason: because('x', 'gave up') })

  const claimFrom = (inbox: Inbox, limit: number, stage: Stage = 'fetch') => inbox.claim(stage, places(limit))

  operatorsContract(name, openTest)

  describe(`${name}: accept`, () => {
    it('records a new delivery, and queues its job as due now', async () => {
      const { inbox, clock } = await openTest()
      const one = delivery('job-1', { svixId: 'msg_1', metadata: { a: 1 } })
      expect(await inbox.accept(one)).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      expect(await inbox.get('job-1')).toMatchObject({ state: 'queued', dueAt: clock.now(), endpoints: ['default'] })
      expect(inbox.isFailing()).toBe(false)
    })

    it('takes one of many copies that arrive together as new', async () => {
      const { inbox } = await openTest()
      const one = delivery('job-1')
      const receipts = await Promise.all(Array.from({ length: 100 }, () => inbox.accept(one)))
      expect(receipts.filter((receipt) => !receipt.duplicate)).toHaveLength(1)
      expect((await inbox.get('job-1'))!.deliveries).toMatchObject([{ arrivals: 100 }])
      expect((await inbox.stats()).jobs.queued).toBe(1)
    })

    it('makes one job of many deliveries that arrive together', async () => {
      const { inbox } = await openTest()
      await Promise.all(Array.from({ length: 50 }, () => inbox.accept(delivery('job-1'))))
      expect((await inbox.get('job-1'))!.deliveries).toHaveLength(50)
      expect(await claimFrom(inbox, 10)).toHaveLength(1)
    })

    it('attaches a further delivery to a job that is queued, running or done', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      expect(await inbox.accept(delivery('job-1'))).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      const [claim] = await claimFrom(inbox, 1)
      expect(await inbox.accept(delivery('job-1'))).toMatchObject({ job: 'running' })
      await inbox.settle(claim!, done(claim!), attempt(), null)
      expect(await inbox.accept(delivery('job-1'))).toEqual({ duplicate: false, requeued: false, job: 'done' })
      expect(await claimFrom(inbox, 1)).toEqual([])
    })

    it.each([true, false])('queues a dead job again (known id: %s) with fresh attempts', async (known) => {
      const { inbox, clock } = await openTest()
      const first = delivery('job-1')
      await inbox.accept(first)
      const [claim] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, { ...dead(claim!), failures: 7 }, attempt('dead', null), null)
      clock.advance(DAY)
      const receipt = await inbox.accept(known ? first : delivery('job-1'))
      expect(receipt).toEqual({ duplicate: known, requeued: true, job: 'queued' })
      const [again] = await claimFrom(inbox, 1)
      expect(again).toMatchObject({ progress: { failures: 0, spent: 0, reason: null }, round: 2 })
    })

    it('has a done job fetched anew when a new delivery contradicts what was recorded', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      const [claim] = await claimFrom(inbox, 1)
      expect(claim).toMatchObject({ round: 1, fetchSince: 0 })
      await inbox.settle(claim!, done(claim!), attempt('done', 'Failed'), null)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      const [again] = await claimFrom(inbox, 1)
      expect(again).toMatchObject({ round: 2, fetchSince: 2 })
      await inbox.settle(again!, done(again!), attempt('done', 'Completed'), null)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      expect(await claimFrom(inbox, 1)).toEqual([])
    })

    it('does the same when the contradicting delivery comes while the job runs', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.accept(delivery('job-1', { status: 'Completed' }))
      await inbox.settle(claim!, done(claim!), attempt('done', 'Failed'), null)
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', round: 2, fetchSince: 2 }])
    })

    it('tells a claim what was announced last', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      await inbox.accept(delivery('job-1', { status: 'Failed' }))
      expect(await claimFrom(inbox, 1)).toMatchObject([{ announced: 'Failed', round: 2, fetchSince: 2 }])
    })

    it('takes a message of another endpoint with an id that is taken for one of its own', async () => {
      const { inbox } = await openTest()
      const ignored = { ...delivery(''), body: '{"x":1}', content: { is: 'ignored' } } as const
      await inbox.accept({ ...ignored, svixId: 'msg_1', endpoint: 'leaked' })
      const real = delivery('job-1', { svixId: 'msg_1', metadata: { name: 'Ada' } })
      expect(await inbox.accept(real)).toEqual({ duplicate: false, requeued: false, job: 'queued' })
      expect(await inbox.accept(real)).toMatchObject({ duplicate: true })
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', body: real.body }])
    })

    it('keeps deliveries that concern no job, once each', async () => {
      const { inbox } = await openTest()
      const ping = { ...delivery(''), body: '{}', content: { is: 'ignored' } } as const
      const bad = { ...delivery(''), body: '[]', content: { is: 'rejected', reason: 'not an object' } } as const
      for (const one of [ping, bad]) {
        expect(await inbox.accept(one)).toEqual({ duplicate: false, requeued: false, job: null })
        expect(await inbox.accept(one)).toEqual({ duplicate: true, requeued: false, job: null })
      }
      expect((await inbox.stats()).deliveries).toEqual({ job: 0, ignored: 1, rejected: 1 })
    })

    it('lists the endpoint of a copy that came through another one', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1', { svixId: 'msg_1' }))
      await inbox.accept(delivery('job-1', { svixId: 'msg_1', endpoint: 'dev' }))
      await inbox.accept(delivery('job-1', { endpoint: 'dev' }))
      expect(await claimFrom(inbox, 1)).toMatchObject([{ endpoint: 'default', endpoints: ['default', 'dev'] }])
    })

    it('keeps text exactly', async () => {
      const { inbox } = await openTest()
      const body = '{"job_id":"job-1","status":"Completed","metadata":"\u0000 Ω€😀 \\u0000"}'
      await inbox.accept({ ...delivery('job-1'), body })
      expect(await claimFrom(inbox, 1)).toMatchObject([{ body }])
    })
  })

  describe(`${name}: claim and settle`, () => {
    it('gives out due jobs, the oldest and the newest by turns, each once', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b', 'c']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      expect((await claimFrom(inbox, 2)).map(({ jobId }) => jobId)).toEqual(['a', 'c'])
      expect((await claimFrom(inbox, 2)).map(({ jobId }) => jobId)).toEqual(['b'])
      expect(await claimFrom(inbox, 2)).toEqual([])
    })

    it('tells what the worker needs', async () => {
      const { inbox, clock } = await openTest()
      const one = delivery('job-1', { svixId: 'msg_1' })
      await inbox.accept(one)
      expect(await claimFrom(inbox, 1)).toEqual([
        {
          jobId: 'job-1',
          token: expect.any(Number),
          endpoint: 'default',
          endpoints: ['default'],
          svixId: 'msg_1',
          receivedAt: one.receivedAt,
          task: 'fetch',
          sideFiles: null,
          round: 1,
          fetchSince: 0,
          body: one.body,
          announced: 'Completed',
          progress: {
            state: 'running',
            stage: 'fetch',
            failures: 0,
            polls: 0,
            crashes: 0,
            dueAt: clock.now(),
            spent: 0,
            goneSpent: null,
            reason: null,
          },
        },
      ])
    })

    it('keeps the standing that it is given, and gives the job out when it is due', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [claim] = await claimFrom(inbox, 1)
      const next = progress(claim!, {
        state: 'queued',
        failures: 3,
        polls: 2,
        crashes: 1,
        dueAt: clock.now() + 5_000,
        goneSpent: 42,
        reason: because('http_503', 'Reducto answered 503'),
      })
      expect(await inbox.settle(claim!, next, attempt('retry', null), null)).toBe(true)
      clock.advance(4_999)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(1)
      const [again] = await claimFrom(inbox, 1)
      expect(again!.progress).toEqual({ ...next, state: 'running' })
      expect(again!.token).toBeGreaterThan(claim!.token)
    })

    it('fences: an old claim changes nothing', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [old] = await claimFrom(inbox, 1)
      await inbox.settle(old!, progress(old!, { state: 'queued' }), attempt('retry', null), null)
      const [current] = await claimFrom(inbox, 1)
      expect(await inbox.lost([old!, current!])).toEqual([old])
      expect(await inbox.settle(old!, done(old!), attempt(), null)).toBe(false)
      expect(await inbox.get('job-1')).toMatchObject({ state: 'running' })
      expect(await inbox.settle(current!, done(current!), attempt(), null)).toBe(true)
      expect(await inbox.settle(current!, dead(current!), attempt(), null)).toBe(false)
      expect(await inbox.get('job-1')).toMatchObject({ state: 'done' })
    })

    it('lets a job that has crashed twice run alone', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('crasher'))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, progress(claim!, { state: 'queued', crashes: 2 }), attempt('interrupted', null), null)
      clock.advance(1)
      await inbox.accept(delivery('a'))
      await inbox.accept(delivery('b'))
      const alone = await claimFrom(inbox, 8)
      expect(alone.map(({ jobId }) => jobId)).toEqual(['crasher'])
      expect(await claimFrom(inbox, 8)).toEqual([])
      await inbox.settle(alone[0]!, done(alone[0]!), attempt(), null)
      expect(await claimFrom(inbox, 8)).toHaveLength(2)
    })

    it('waits for the others to end before it gives out a job that must run alone', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('crasher'))
      const [claim] = await claimFrom(inbox, 1)
      await inbox.accept(delivery('other'))
      clock.advance(1)
      const [other] = await claimFrom(inbox, 1)
      await inbox.settle(claim!, progress(claim!, { state: 'queued', crashes: 2 }), attempt('interrupted', null), null)
      expect(await claimFrom(inbox, 8)).toEqual([])
      await inbox.settle(other!, done(other!), attempt(), null)
      expect(await claimFrom(inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    })

    it('goes on with both stages when a job that ran alone has ended, however it ended', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved' ? { state: 'queued', stage: 'hand_over' } : { state: 'queued', crashes: 2 }
        await inbox.settle(claim, progress(claim, change), attempt('interrupted', null), null)
      }
      const [alone] = await claimFrom(inbox, 8)
      expect(alone).toMatchObject({ jobId: 'crasher' })
      expect(await claimFrom(inbox, 8, 'hand_over')).toEqual([])
      const ready = inbox.ready('hand_over', new AbortController().signal)
      const later = progress(alone!, { state: 'queued', crashes: 0, failures: 1, dueAt: clock.now() + 60_000 })
      await inbox.settle(alone!, later, attempt('retry', null), null)
      await ready
      expect(await claimFrom(inbox, 8, 'hand_over')).toMatchObject([{ jobId: 'saved' }])
    })

    it('wakes the other stage for a job that must run alone when the last other one has ended', async () => {
      const { inbox } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved'
            ? { state: 'queued', stage: 'hand_over' }
            : { state: 'queued', crashes: 2, failures: 1 }
        if (claim.jobId === 'saved') await inbox.settle(claim, progress(claim, change), attempt('saved', null), null)
        else
          await inbox.settle(claim, progress(claim, { ...change, dueAt: Date.now() * 2 }), attempt('retry', null), null)
      }
      const [handed] = await claimFrom(inbox, 8, 'hand_over')
      await inbox.requeue({ jobId: 'crasher' })
      expect(await claimFrom(inbox, 8)).toEqual([])
      const ready = inbox.ready('fetch', new AbortController().signal)
      await inbox.settle(handed!, done(handed!), attempt(), null)
      await ready
      expect(await claimFrom(inbox, 8)).toMatchObject([{ jobId: 'crasher' }])
    })

    it('lets a job that must run alone hold up nobody while its stage may not claim', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['crasher', 'saved']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) {
        const change: Partial<JobProgress> =
          claim.jobId === 'saved' ? { state: 'queued', stage: 'hand_over' } : { state: 'queued', crashes: 2 }
        await inbox.settle(claim, progress(claim, change), attempt('interrupted', null), null)
      }
      clock.advance(1)
      expect(await claimFrom(inbox, 8, 'hand_over')).toEqual([])
      const places = { limit: 8, total: 8, newestFirst: false, isOtherOpen: false }
      expect(await inbox.claim('hand_over', places)).toMatchObject([{ jobId: 'saved' }])
    })

    it('notes attempts, the latest first', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('job-1'))
      const [first] = await claimFrom(inbox, 1)
      const reason = because('http_503', 'Reducto answered 503')
      await inbox.settle(
        first!,
        progress(first!, { state: 'queued', reason }),
        { ...attempt('retry', null), reason },
        null,
      )
      const [second] = await claimFrom(inbox, 1)
      await inbox.settle(second!, done(second!), { ...attempt(), startedAt: 2_000 }, null)
      expect((await inbox.get('job-1'))!.attempts).toEqual([
        {
          startedAt: 2_000,
          ms: 5,
          task: 'fetch',
          outcome: 'done',
          reason: null,
          savedStatus: 'Completed',
          type: 'Parse',
        },
        { startedAt: 1_000, ms: 5, task: 'fetch', outcome: 'retry', reason, savedStatus: null, type: null },
      ])
    })
  })

  describe(`${name}: ready`, () => {
    const patience = new AbortController().signal

    it('resolves when a delivery is accepted', async () => {
      const { inbox } = await openTest()
      await claimFrom(inbox, 1)
      const ready = inbox.ready('fetch', patience)
      await inbox.accept(delivery('job-1'))
      await ready
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('resolves at once when something came between the claim and the wait', async () => {
      const { inbox } = await openTest()
      const claim = claimFrom(inbox, 1)
      const accepted = inbox.accept(delivery('job-1'))
      await Promise.all([claim, accepted])
      await inbox.ready('fetch', patience)
    })

    it('resolves when a job falls due, and when the clock has jumped back', async () => {
      for (const move of ['advance', 'jump'] as const) {
        const { inbox, clock } = await openTest()
        await inbox.accept(delivery('job-1'))
        const [claim] = await claimFrom(inbox, 1)
        await inbox.settle(
          claim!,
          progress(claim!, { state: 'queued', dueAt: clock.now() + 700 }),
          attempt('retry', null),
          null,
        )
        expect(await claimFrom(inbox, 1)).toEqual([])
        const ready = inbox.ready('fetch', patience)
        if (move === 'jump') {
          // As far back as no backoff reaches: the job is due within ten minutes all the same.
          clock.jump(-DAY)
          clock.advance(1_000)
          await ready
          clock.advance(600_000)
        } else clock.advance(700)
        await ready
        expect(await claimFrom(inbox, 1)).toHaveLength(1)
      }
    })

    it('resolves when the signal aborts', async () => {
      const { inbox } = await openTest()
      await claimFrom(inbox, 1)
      const stop = new AbortController()
      const ready = inbox.ready('fetch', stop.signal)
      stop.abort()
      await ready
    })

    it('does not resolve for due jobs that a pause holds back, until it ends', async () => {
      const { inbox } = await openTest()
      await inbox.pause(true)
      await inbox.accept(delivery('job-1'))
      expect(await claimFrom(inbox, 1)).toEqual([])
      let resolved = false
      const ready = inbox.ready('fetch', patience).then(() => {
        resolved = true
      })
      await inbox.stats()
      expect(resolved).toBe(false)
      await inbox.pause(false)
      await ready
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })
  })

  describe(`${name}: ledger`, () => {
    it('knows nothing of an unknown job', async () => {
      const { inbox } = await openTest()
      expect(await inbox.get('nobody')).toBeNull()
    })

    it('counts', async () => {
      const { inbox, clock } = await openTest()
      const at = clock.now()
      await inbox.accept(delivery('a', { at }))
      clock.advance(10)
      for (const id of ['b', 'c', 'd']) await inbox.accept(delivery(id, { at: clock.now() }))
      const [a, b, c] = await claimFrom(inbox, 3)
      await inbox.settle(b!, done(b!), attempt(), null)
      await inbox.settle(c!, dead(c!), attempt('dead', null), null)
      expect(await inbox.stats()).toEqual({
        jobs: { expected: 0, queued: 1, running: 1, done: 1, dead: 1 },
        deliveries: { job: 4, ignored: 0, rejected: 0 },
        oldestQueuedAt: clock.now(),
        lastVerifiedAt: clock.now(),
        paused: false,
      })
      expect(a!.jobId).toBe('a')
    })

    it('lists jobs, newest first, by state', async () => {
      const { inbox } = await openTest()
      for (const id of ['a', 'b', 'c']) await inbox.accept(delivery(id))
      const [a] = await claimFrom(inbox, 1)
      await inbox.settle(a!, dead(a!), attempt('dead', null), null)
      const first = await inbox.list({}, { limit: 2 })
      expect(first.rows.map(({ jobId }) => jobId)).toEqual(['c', 'b'])
      const second = await inbox.list({}, { limit: 2, cursor: first.next! })
      expect(second).toMatchObject({ rows: [{ jobId: 'a' }], next: null })
      const dead1 = await inbox.list({ state: 'dead' }, { limit: 10 })
      expect(dead1).toMatchObject({ rows: [{ jobId: 'a', reason: { code: 'x' } }], next: null })
    })

    it('finds jobs by everything that a filter names', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('invoice-1', { svixId: 'msg_abc', endpoint: 'production' }))
      clock.advance(1_000)
      await inbox.accept(delivery('invoice-2', { status: 'Failed' }))
      await inbox.accept(delivery('invoice-2', { svixId: 'msg_xyz', status: 'Failed' }))
      const one = (await claimFrom(inbox, 2)).find(({ jobId }) => jobId === 'invoice-1')
      await inbox.settle(one!, { ...dead(one!), reason: because('gone', 'Has GONE away') }, attempt(), null)
      const found = async (filter: JobFilter) => (await inbox.list(filter, { limit: 9 })).rows.map((row) => row.jobId)
      for (const filter of [
        { state: 'dead' },
        { jobId: 'invoice-1' },
        { endpoint: 'production' },
        { status: 'Completed' },
        { type: 'Parse' },
        { error: 'gone' },
        { error: 'gone AWAY' },
        { q: 'msg_ab' },
        { q: 'invoice-1' },
        { state: 'dead', q: 'inv', endpoint: 'production' },
      ] as const)
        expect(await found(filter), JSON.stringify(filter)).toEqual(['invoice-1'])
      expect(await found({ q: 'msg_xy' })).toEqual(['invoice-2'])
      expect(await found({ q: 'inv' })).toEqual(['invoice-2', 'invoice-1'])
      expect(await found({ since: clock.now() })).toHaveLength(2)
      expect(await found({ since: clock.now() + 1 })).toEqual([])
      for (const filter of [{ error: "'" }, { q: '%' }, { state: 'dead', endpoint: 'x' }] as const)
        expect(await found(filter)).toEqual([])
    })

    it('queues dead jobs again, or only counts them', async () => {
      const { inbox } = await openTest()
      for (const id of ['a', 'b']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 2)) await inbox.settle(claim, dead(claim), attempt('dead', null), null)
      expect(await inbox.requeue({ state: 'dead' }, { dryRun: true })).toBe(2)
      expect(await claimFrom(inbox, 2)).toEqual([])
      expect(await inbox.requeue({ state: 'dead', jobId: 'a' })).toBe(1)
      expect(await claimFrom(inbox, 2)).toMatchObject([{ jobId: 'a', progress: { failures: 0, reason: null } }])
      expect((await inbox.stats()).jobs).toMatchObject({ dead: 1, running: 1 })
    })

    it('queues many jobs one after another, so that new ones find their place between them', async () => {
      const { inbox, clock } = await openTest()
      for (let index = 0; index < 1_200; index++) void inbox.accept(delivery(`job-${index}`))
      await inbox.accept(delivery('last'))
      const claims = await claimFrom(inbox, 1_201)
      await Promise.all(claims.map((claim) => inbox.settle(claim, dead(claim), attempt('dead', null), null)))
      expect(await inbox.requeue({ state: 'dead' })).toBe(1_201)
      expect(await claimFrom(inbox, 1_201)).toHaveLength(1)
      clock.advance(10_000)
      const due = await claimFrom(inbox, 1_201)
      expect(due.length).toBeGreaterThan(400)
      expect(due.length).toBeLessThan(600)
      clock.advance(600_000)
      expect(await claimFrom(inbox, 1_201)).toHaveLength(1_200 - due.length)
    })

    it('hands what is saved over again, as a round of its own, and fetches it anew only when asked to', async () => {
      const { inbox } = await openTest()
      await inbox.accept(delivery('a'))
      const [first] = await claimFrom(inbox, 1)
      expect(first).toMatchObject({ round: 1, fetchSince: 0 })
      await inbox.settle(first!, done(first!), attempt(), null)
      expect(await inbox.requeue({ jobId: 'a' })).toBe(1)
      expect(await claimFrom(inbox, 1)).toEqual([])
      const [second] = await claimFrom(inbox, 1, 'hand_over')
      expect(second).toMatchObject({ task: 'hand_over', round: 2, fetchSince: 0 })
      await inbox.settle(second!, done(second!), attempt(), null)
      await inbox.requeue({ jobId: 'a' }, { refetch: true })
      const [third] = await claimFrom(inbox, 1)
      expect(third).toMatchObject({ task: 'fetch', round: 3, fetchSince: 3 })
      // What died without its fetch is handed over as it was saved.
      await inbox.settle(third!, dead(third!), attempt('dead', null), null)
      await inbox.requeue({ jobId: 'a' })
      expect(await claimFrom(inbox, 1, 'hand_over')).toMatchObject([{ task: 'hand_over', round: 4 }])
    })

    it('gives out the jobs of one stage only', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      const [a] = await claimFrom(inbox, 1)
      const saved = progress(a!, { state: 'queued', stage: 'hand_over', dueAt: clock.now() })
      await inbox.settle(a!, saved, attempt('saved'), null)
      expect(await claimFrom(inbox, 9)).toMatchObject([{ jobId: 'b', task: 'fetch' }])
      expect(await claimFrom(inbox, 9, 'hand_over')).toMatchObject([{ jobId: 'a', task: 'hand_over' }])
      expect(await inbox.get('a')).toMatchObject({ stage: 'hand_over', type: 'Parse', status: 'Completed' })
    })

    it('is ready for a stage, though another stage has had due jobs for long', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['saved', 'later']) await inbox.accept(delivery(id))
      const [saved, later] = await claimFrom(inbox, 2)
      await inbox.settle(saved!, progress(saved!, { state: 'queued', stage: 'hand_over' }), attempt(), null)
      const due = progress(later!, { state: 'queued', dueAt: clock.now() + 5_000 })
      await inbox.settle(later!, due, attempt('retry', null), null)
      expect(await claimFrom(inbox, 1)).toEqual([])
      const ready = inbox.ready('fetch', new AbortController().signal)
      clock.advance(5_000)
      await ready
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: later!.jobId }])
    })

    it('lets retries hold half of the places at most', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['a', 'b', 'c', 'd', 'e']) await inbox.accept(delivery(id))
      for (const claim of await claimFrom(inbox, 5))
        await inbox.settle(claim, progress(claim, { state: 'queued', failures: 1 }), attempt('retry', null), null)
      clock.advance(1)
      expect(await inbox.claim('fetch', { limit: 4, total: 4, newestFirst: false, isOtherOpen: true })).toHaveLength(2)
      expect(await inbox.claim('fetch', { limit: 2, total: 4, newestFirst: false, isOtherOpen: true })).toEqual([])
      await inbox.accept(delivery('new'))
      expect(await inbox.claim('fetch', { limit: 2, total: 4, newestFirst: false, isOtherOpen: true })).toMatchObject([
        { jobId: 'new' },
      ])
    })

    it('lets endpoints take turns', async () => {
      const { inbox, clock } = await openTest()
      for (let index = 0; index < 100; index++)
        await inbox.accept(delivery(`invented-${index}`, { endpoint: 'leaked' }))
      clock.advance(1)
      await inbox.accept(delivery('real'))
      for (let index = 0; index < 100; index++) await inbox.accept(delivery(`more-${index}`, { endpoint: 'leaked' }))
      const claims = await inbox.claim('fetch', { limit: 8, total: 8, newestFirst: false, isOtherOpen: true })
      expect(claims.map(({ jobId }) => jobId)).toContain('real')
    })

    it('gives out the newest first as a trial', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['old', 'middle', 'new']) {
        await inbox.accept(delivery(id))
        clock.advance(1)
      }
      const claims = await inbox.claim('fetch', { limit: 2, total: 8, newestFirst: true, isOtherOpen: true })
      expect(claims.map(({ jobId }) => jobId)).toEqual(['new', 'middle'])
    })

    it('tries missing side files again beside the hand-over, and not while the job is fetched anew', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(inbox, 1)
      const saved = progress(fetched!, { state: 'queued', stage: 'hand_over', dueAt: clock.now() })
      const sideFiles = { failures: 0, crashes: 0, dueAt: clock.now() + 1_000, spent: 1_000 }
      await inbox.settle(fetched!, saved, attempt('saved'), sideFiles)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(1_000)
      const [handed] = await claimFrom(inbox, 1, 'hand_over')
      const [side] = await claimFrom(inbox, 1)
      expect(side).toMatchObject({ jobId: 'a', task: 'side_files', sideFiles })
      expect(await inbox.erase('a')).toBe('running')
      expect(await inbox.get('a')).toMatchObject({ isRunning: true })
      expect(await inbox.lost([side!, handed!, { ...side!, token: 1 }])).toMatchObject([{ token: 1 }])
      await inbox.settle(handed!, done(handed!), attempt(), null)
      await inbox.requeue({ jobId: 'a' }, { refetch: true })
      expect(await inbox.settleSideFiles(side!, null, attempt())).toBe(false)
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'a', task: 'fetch' }])
    })

    it('keeps what is still missing for the next try, and ends when nothing is', async () => {
      const { inbox, clock } = await openTest()
      await inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(inbox, 1)
      const next = { failures: 0, crashes: 0, dueAt: clock.now(), spent: 1_000 }
      await inbox.settle(fetched!, done(fetched!), attempt(), next)
      const [first] = await claimFrom(inbox, 1)
      const later = { ...next, failures: 1, dueAt: clock.now() + 2_000 }
      expect(await inbox.settleSideFiles(first!, later, { ...attempt('retry'), task: 'side_files' })).toBe(true)
      const ready = inbox.ready('fetch', new AbortController().signal)
      expect(await claimFrom(inbox, 1)).toEqual([])
      clock.advance(2_000)
      await ready
      const [second] = await claimFrom(inbox, 1)
      expect(second).toMatchObject({ task: 'side_files', sideFiles: { failures: 1 } })
      await inbox.settleSideFiles(second!, null, { ...attempt(), task: 'side_files' })
      clock.advance(DAY)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('a')).toMatchObject({
        state: 'done',
        attempts: [{ task: 'side_files' }, { task: 'side_files' }, {}],
      })
    })

    it('walks far in bounded steps, and says how far it got', async () => {
      const { inbox } = await openTest()
      await Promise.all(Array.from({ length: 9_000 }, (_, index) => inbox.accept(delivery(`job-${index}`))))
      await inbox.accept(delivery('wanted'))
      let cursor: string | undefined
      let rows = 0
      do {
        const page = await inbox.list({ q: 'msg_' }, { limit: 1_000_000, ...(cursor ? { cursor } : {}) })
        rows += page.rows.length
        cursor = page.next ?? undefined
        expect(page.searchedTo === null).toBe(page.next === null)
      } while (cursor)
      expect(rows).toBe(9_001)
    })

    it('keeps one key for links, over restarts', async () => {
      const test = await openTest()
      const key = await test.inbox.linkKey()
      expect(key).toHaveLength(32)
      expect(await test.inbox.linkKey()).toEqual(key)
      await test.inbox.close()
      expect(await (await test.open()).inbox.linkKey()).toEqual(key)
    })

    it('erases what a job holds, and keeps its ids, so that nothing brings it back', async () => {
      const { inbox } = await openTest()
      const first = delivery('a', { metadata: { name: 'Ada' } })
      await inbox.accept(first)
      await inbox.accept(delivery('a'))
      const [claim] = await claimFrom(inbox, 1)
      expect(await inbox.erase('a')).toBe('running')
      await inbox.settle(claim!, dead(claim!), attempt(), null)
      expect(await inbox.erase('a')).toBe('erased')
      expect(await inbox.erase('nobody')).toBe('unknown')
      expect(await inbox.get('a')).toMatchObject({ state: 'done', reason: { code: 'erased' }, attempts: [] })
      expect((await inbox.get('a'))!.deliveries).toHaveLength(2)
      expect(await inbox.accept(first)).toEqual({ duplicate: true, requeued: false, job: 'done' })
      expect(await inbox.accept(delivery('a', { status: 'Failed' }))).toMatchObject({ job: 'done' })
      expect(await inbox.requeue({ jobId: 'a' })).toBe(0)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect((await inbox.stats()).jobs).toMatchObject({ done: 1, dead: 0 })
    })

    it('claims nothing while paused, accepts all the same, and stays paused over a restart', async () => {
      const test = await openTest()
      await test.inbox.pause(true)
      await test.inbox.accept(delivery('a'))
      expect(await claimFrom(test.inbox, 1)).toEqual([])
      await test.inbox.close()
      const { inbox } = await test.open()
      expect((await inbox.stats()).paused).toBe(true)
      expect(await claimFrom(inbox, 1)).toEqual([])
      await inbox.pause(false)
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('forgets deliveries and done jobs from their last activity on; queued and dead ones stay', async () => {
      const { inbox, clock } = await openTest()
      for (const id of ['done', 'dead', 'active']) await inbox.accept(delivery(id, { at: clock.now() }))
      const ping = { ...delivery('', { at: clock.now() }), content: { is: 'ignored' } } as const
      await inbox.accept(ping)
      const claims = await claimFrom(inbox, 3)
      for (const claim of claims) {
        const dies = claim.jobId === 'dead'
        await inbox.settle(claim, dies ? dead(claim) : done(claim), attempt(dies ? 'dead' : 'done'), null)
      }
      await inbox.accept(delivery('queued', { at: clock.now() }))
      clock.advance(100 * DAY)
      await inbox.accept(delivery('active', { at: clock.now() }))
      clock.advance(1)
      expect(await inbox.prune(clock.now() - 100 * DAY)).toBeGreaterThan(0)
      expect(await inbox.get('done')).toBeNull()
      for (const id of ['dead', 'active', 'queued']) expect(await inbox.get(id)).not.toBeNull()
      expect(await inbox.stats()).toMatchObject({
        jobs: { queued: 1, running: 0, done: 1, dead: 1 },
        deliveries: { job: 4, ignored: 0 },
      })
      expect(await inbox.accept(ping)).toMatchObject({ duplicate: false })
    })

    it('forgets thousands', async () => {
      const { inbox, clock } = await openTest()
      const ids = Array.from({ length: 1_200 }, () => randomUUID())
      await Promise.all(ids.map((id) => inbox.accept(delivery(id, { at: clock.now() }))))
      const claims = await claimFrom(inbox, 1_200)
      await Promise.all(claims.map((claim) => inbox.settle(claim, done(claim), attempt(), null)))
      clock.advance(DAY)
      await inbox.prune(clock.now())
      expect(await inbox.stats()).toMatchObject({ jobs: { done: 0 }, deliveries: { job: 0 } })
    })
  })

  describe(`${name}: restart`, () => {
    it('keeps everything', async () => {
      const test = await openTest()
      const one = delivery('job-1')
      await test.inbox.accept(one)
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await inbox.accept(one)).toMatchObject({ duplicate: true, job: 'queued' })
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('queues what was running when the process died, and counts the crash', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      await claimFrom(test.inbox, 1)
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await claimFrom(inbox, 1)).toMatchObject([{ jobId: 'job-1', progress: { crashes: 1 } }])
    })

    it('makes a job dead that died five times, the last ones alone', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      let { inbox } = test
      for (let death = 0; death < 5; death++) {
        expect(await claimFrom(inbox, 1)).toHaveLength(1)
        await inbox.close()
        inbox = (await test.open()).inbox
      }
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('job-1')).toMatchObject({ state: 'dead', reason: { code: 'crashed' } })
    })

    it('counts no crash when a stop was asked for, and notes the attempt of a crash', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      await claimFrom(test.inbox, 1)
      await test.inbox.stopAsked()
      await test.inbox.close()
      const second = await test.open()
      expect(await claimFrom(second.inbox, 1)).toMatchObject([{ progress: { crashes: 0 } }])
      expect((await second.inbox.get('job-1'))!.attempts).toEqual([])
      await second.inbox.close()
      const third = await test.open()
      expect(await claimFrom(third.inbox, 1)).toMatchObject([{ progress: { crashes: 1 } }])
      expect((await third.inbox.get('job-1'))!.attempts).toMatchObject([{ outcome: 'crashed' }])
    })

    it('schedules side files again whose process died, each time later, and gives them up after five deaths', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(test.inbox, 1)
      const sideFiles = { failures: 2, crashes: 0, dueAt: test.clock.now(), spent: 1_000 }
      await test.inbox.settle(fetched!, done(fetched!), attempt(), sideFiles)
      let { inbox } = test
      let died = 0
      const pauses: number[] = []
      for (let deaths = 0; deaths < 5; deaths++) {
        const [side] = await claimFrom(inbox, 1)
        expect(side).toMatchObject({ task: 'side_files', sideFiles: { failures: 2, crashes: deaths, spent: 1_000 } })
        if (deaths > 0) pauses.push(side!.sideFiles!.dueAt - died)
        await inbox.close()
        died = test.clock.now()
        inbox = (await test.open()).inbox
        expect((await inbox.get('a'))!.attempts[0]).toMatchObject({ task: 'side_files', outcome: 'crashed' })
        expect(await claimFrom(inbox, 1)).toEqual([])
        test.clock.advance(10 * 60_000)
      }
      expect(pauses[0]).toBeGreaterThan(0)
      for (const [index, pause] of pauses.entries()) if (index > 0) expect(pause).toBeGreaterThan(pauses[index - 1]!)
      expect(await claimFrom(inbox, 1)).toEqual([])
      expect(await inbox.get('a')).toMatchObject({ state: 'done', isRunning: false })
    })

    it('tries side files again at once that a stop interrupted', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('a'))
      const [fetched] = await claimFrom(test.inbox, 1)
      const sideFiles = { failures: 0, crashes: 0, dueAt: test.clock.now(), spent: 1_000 }
      await test.inbox.settle(fetched!, done(fetched!), attempt(), sideFiles)
      expect(await claimFrom(test.inbox, 1)).toHaveLength(1)
      await test.inbox.stopAsked()
      await test.inbox.close()
      const { inbox } = await test.open()
      expect(await claimFrom(inbox, 1)).toMatchObject([{ task: 'side_files', sideFiles }])
    })

    it('has no job wait longer than the longest backoff when the clock has jumped back', async () => {
      const test = await openTest()
      await test.inbox.accept(delivery('job-1'))
      const [claim] = await claimFrom(test.inbox, 1)
      const next = progress(claim!, { state: 'queued', dueAt: test.clock.now() + 5_000 })
      await test.inbox.settle(claim!, next, attempt('retry', null), null)
      await test.inbox.close()
      test.clock.jump(-DAY)
      const { inbox } = await test.open()
      test.clock.advance(600_000)
      expect(await claimFrom(inbox, 1)).toHaveLength(1)
    })

    it('refuses everything when it is closed', async () => {
      const { inbox } = await openTest()
      await inbox.close()
      await expect(inbox.accept(delivery('job-1'))).rejects.toMatchObject({ name: 'InboxUnavailable', code: 'closed' })
    })
  })
}
