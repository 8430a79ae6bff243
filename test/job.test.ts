import { describe, expect, it } from 'vitest'
import {
  afterAttempt,
  afterCrash,
  atStage,
  BACKOFF,
  backoff,
  CRASHES_UNTIL_DEAD,
  type Outcome,
  onDelivery,
  queued,
  type Standing,
} from '../src/job.ts'

const HOUR = 3_600_000
const AT = { now: 1_000_000, working: 5_000 }
const REASON = { code: 'x', message: 'why' }
const fresh = queued(AT, 12 * HOUR)
const running: Standing = { ...fresh, state: 'running' }
const after = (outcome: Outcome, was = running, at = AT, random = () => 0.5) => afterAttempt(was, outcome, at, random)

describe('a delivery', () => {
  it('queues an unknown or expected job, and is no duplicate', () => {
    for (const job of [null, { state: 'expected', recorded: null } as const])
      expect(onDelivery(job, { known: false, status: 'Completed' })).toEqual({
        queue: 'new',
        duplicate: false,
        requeued: false,
      })
  })

  it('queues a dead job again, known or new', () => {
    for (const known of [true, false])
      expect(onDelivery({ state: 'dead', recorded: null }, { known, status: 'Completed' })).toEqual({
        queue: 'new',
        duplicate: known,
        requeued: true,
      })
  })

  it.each(['queued', 'running', 'done'] as const)('changes nothing of a job that is %s', (state) => {
    expect(onDelivery({ state, recorded: 'Completed' }, { known: false, status: 'Completed' }).queue).toBeNull()
    expect(onDelivery({ state, recorded: 'Completed' }, { known: true, status: 'Failed' }).queue).toBeNull()
  })

  it('has a done job fetched anew only when it announces another end than was recorded', () => {
    const done = { state: 'done', recorded: 'Failed' } as const
    expect(onDelivery(done, { known: false, status: 'Completed' }).queue).toBe('refetch')
    expect(onDelivery(done, { known: false, status: 'Failed' }).queue).toBeNull()
    expect(onDelivery(done, { known: false, status: 'InProgress' }).queue).toBeNull()
  })
})

describe('backoff', () => {
  it('doubles up to ten minutes, with full jitter and never under a second', () => {
    const ceilings = [0, 1, 2, 5, 9, 10, 40].map((tries) => backoff(tries, () => 0.999999))
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 32_000, 511_999, 599_999, 599_999])
    expect(backoff(9, () => 0.25)).toBe(128_000)
    expect(backoff(9, () => 0)).toBe(BACKOFF.first)
  })
})

describe('a failing attempt', () => {
  const retry: Outcome = { is: 'retry', reason: REASON }

  it('is followed by another after a backoff', () => {
    const next = after(retry, { ...running, tries: 3 })
    expect(next).toMatchObject({ state: 'queued', tries: 4, dueAt: AT.now + 4_000, reason: REASON })
  })

  it('honours Retry-After, up to ten minutes', () => {
    expect(after({ ...retry, after: 90_000 }).dueAt).toBe(AT.now + 90_000)
    expect(after({ ...retry, after: 2 * HOUR }).dueAt).toBe(AT.now + BACKOFF.longest)
  })

  it('makes the job dead when its patience is over', () => {
    expect(after(retry, running, { ...AT, working: fresh.giveUpAt })).toMatchObject({ state: 'dead', reason: REASON })
    expect(after(retry, running, { ...AT, working: fresh.giveUpAt - 1 }).state).toBe('queued')
  })
})

describe('gone', () => {
  const gone = (confirm: number): Outcome => ({ is: 'gone', reason: REASON, confirm })

  it('410 is believed on the second try', () => {
    const first = after(gone(0))
    expect(first).toMatchObject({ state: 'queued', goneSince: AT.working, dueAt: AT.now + 1_000 })
    expect(after(gone(0), first).state).toBe('dead')
  })

  it('404 is believed after it was confirmed for 15 minutes, and a try falls on that moment', () => {
    const first = after(gone(900_000))
    const later = { now: AT.now + 899_000, working: AT.working + 899_000 }
    const second = after(gone(900_000), { ...first, tries: 20 }, later)
    expect(second).toMatchObject({ state: 'queued', goneSince: AT.working, dueAt: later.now + 1_000 })
    expect(after(gone(900_000), second, { now: 0, working: AT.working + 900_000 }).state).toBe('dead')
  })

  it('is forgotten when Reducto says something else in between', () => {
    const first = after(gone(0))
    expect(after({ is: 'retry', reason: REASON }, first).goneSince).toBeNull()
    expect(after({ is: 'unfinished', reason: REASON }, first).goneSince).toBeNull()
  })

  it('is final when the patience with the job is shorter', () => {
    const first = after(gone(900_000))
    expect(after(gone(900_000), first, { ...AT, working: fresh.giveUpAt }).state).toBe('dead')
  })
})

describe('what costs no attempt', () => {
  it('an unfinished job: looked at again at growing intervals, until patience is over', () => {
    const unfinished: Outcome = { is: 'unfinished', reason: REASON }
    const next = after(unfinished, { ...running, tries: 2, waits: 5 })
    expect(next).toMatchObject({ state: 'queued', tries: 2, waits: 6, dueAt: AT.now + 16_000 })
    expect(after(unfinished, running, { ...AT, working: fresh.giveUpAt }).state).toBe('dead')
  })

  it('what is not the job’s fault, however late it is', () => {
    const wait: Outcome = { is: 'wait', reason: REASON, after: 1_000 }
    const next = after(wait, { ...running, tries: 2, goneSince: 7 }, { ...AT, working: fresh.giveUpAt + 1 })
    expect(next).toMatchObject({ state: 'queued', tries: 2, goneSince: 7, dueAt: AT.now + 1_000, reason: REASON })
  })

  it('being interrupted: due at once', () => {
    const next = after({ is: 'interrupted' }, { ...running, tries: 2, reason: REASON, goneSince: 7 })
    expect(next).toMatchObject({ state: 'queued', tries: 2, goneSince: 7, dueAt: AT.now, reason: REASON })
  })
})

describe('a crash', () => {
  it('counts, and the fifth makes the job dead', () => {
    let job = running
    for (let crash = 1; crash < CRASHES_UNTIL_DEAD; crash++) {
      job = afterCrash(job, AT)
      expect(job).toMatchObject({ state: 'queued', crashes: crash, dueAt: AT.now })
    }
    expect(afterCrash(job, AT)).toMatchObject({ state: 'dead', reason: { code: 'crashed' } })
  })

  it('is forgotten by a settled attempt, however that ends', () => {
    const outcomes: Outcome[] = [
      { is: 'retry', reason: REASON },
      { is: 'wait', reason: REASON, after: 1 },
      { is: 'unfinished', reason: REASON },
      { is: 'interrupted' },
      { is: 'done', status: 'Completed', missing: 0 },
    ]
    for (const outcome of outcomes) expect(after(outcome, { ...running, crashes: 4 }).crashes).toBe(0)
  })
})

describe('a stage', () => {
  const patience = { fetch: 12 * HOUR, hand_over: 7 * 24 * HOUR }
  const late = { now: AT.now, working: fresh.giveUpAt + HOUR }

  it('begins with fresh attempts and its own patience, however long the one before took', () => {
    const handing = atStage({ ...running, tries: 9, waits: 3 }, 'hand_over', late, patience)
    expect(handing).toMatchObject({
      stage: 'hand_over',
      tries: 0,
      waits: 0,
      giveUpAt: late.working + patience.hand_over,
    })
    expect(after({ is: 'retry', reason: REASON }, handing, late)).toMatchObject({
      state: 'queued',
      stage: 'hand_over',
      tries: 1,
    })
  })

  it('goes on where the last attempt left it', () => {
    const handing = { ...running, stage: 'hand_over', tries: 9 } as const
    expect(atStage(handing, 'hand_over', late, patience)).toBe(handing)
  })
})

it('a job that is queued anew has fresh attempts and fresh patience', () => {
  expect(fresh).toEqual({
    state: 'queued',
    stage: 'fetch',
    tries: 0,
    waits: 0,
    crashes: 0,
    dueAt: AT.now,
    giveUpAt: AT.working + 12 * HOUR,
    goneSince: null,
    reason: null,
  })
})
