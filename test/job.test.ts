import { describe, expect, it } from 'vitest'
import { backoff, MAX_DELAY_MS, MIN_DELAY_MS, spread } from '../src/backoff.ts'
import {
  afterAttempt,
  afterRestart,
  type CleanOutcome,
  type CleanReason,
  DEAD_AFTER_CRASHES,
  firstSideFiles,
  freshProgress,
  isJobId,
  type JobProgress,
  type KnownJob,
  nextSideFiles,
  onDelivery,
  onRequeue,
  type SideFilesProgress,
  sideFilesAfterRestart,
} from '../src/job.ts'
import type { CleanText } from '../src/telemetry/scrub.ts'

const HOUR = 3_600_000
const NOW = 1_000_000
const REASON: CleanReason = { code: 'x', message: 'why' as CleanText }
const patience = { fetch: 12 * HOUR, hand_over: 7 * 24 * HOUR, side_files: 12 * HOUR }
const running: JobProgress = { ...freshProgress('fetch', NOW), state: 'running' }
const after = (outcome: CleanOutcome, was: JobProgress = running, ms = 0, random = () => 0.5) =>
  afterAttempt(was, outcome, { now: NOW, ms, patience, random })

const job = (state: KnownJob['state'], more: Partial<KnownJob> = {}): KnownJob => ({
  state,
  stage: 'fetch',
  savedStatus: null,
  announced: 'Completed',
  ...more,
})

describe('a job id', () => {
  it.each(['a', 'A-z_09', 'x'.repeat(128)])('may be %j', (id) => expect(isJobId(id)).toBe(true))
  it.each(['', '.', '..', 'a/b', 'a%2Fb', 'a b', 'é', 'a\n', 'x'.repeat(129), null, 7, ['a']])('is not %j', (id) =>
    expect(isJobId(id)).toBe(false),
  )
})

describe('a delivery', () => {
  const completed = { known: false, status: 'Completed' }
  const failed = { known: false, status: 'Failed' }

  it('queues an unknown or expected job, and is no duplicate', () => {
    for (const one of [null, job('expected', { announced: null })])
      expect(onDelivery(one, completed)).toEqual({ queue: 'fetch', refetch: false, duplicate: false, requeued: false })
  })

  it('queues a dead job again, known or new, and hands over what is saved', () => {
    for (const known of [true, false]) {
      const told = { refetch: false, duplicate: known, requeued: true }
      expect(onDelivery(job('dead'), { ...completed, known })).toEqual({ queue: 'fetch', ...told })
      const saved = job('dead', { savedStatus: 'Completed' })
      expect(onDelivery(saved, { ...completed, known })).toEqual({ queue: 'hand_over', ...told })
    }
  })

  it('has a dead job fetched anew when it contradicts what is saved', () => {
    expect(onDelivery(job('dead', { savedStatus: 'Failed' }), completed)).toMatchObject({
      queue: 'fetch',
      refetch: true,
    })
  })

  it.each(['queued', 'running', 'done'] as const)('changes nothing of a job that is %s', (state) => {
    const saved = job(state, { savedStatus: 'Completed' })
    expect(onDelivery(saved, completed)).toMatchObject({ queue: null, refetch: false })
    expect(onDelivery(saved, { ...failed, known: true })).toMatchObject({ queue: null, refetch: false })
    expect(onDelivery(saved, { known: false, status: 'InProgress' })).toMatchObject({ queue: null, refetch: false })
  })

  it('has a saved job fetched anew when it announces another end', () => {
    for (const saved of [
      job('done', { savedStatus: 'Failed' }),
      job('queued', { stage: 'hand_over', savedStatus: 'Failed' }),
    ])
      expect(onDelivery(saved, completed)).toMatchObject({ queue: 'fetch', refetch: true })
  })

  it('makes what a job fetches now out of date when it announces another end', () => {
    for (const state of ['queued', 'running'] as const)
      expect(onDelivery(job(state), failed)).toMatchObject({ queue: null, refetch: true })
  })

  it('does not bring back what was erased', () => {
    expect(onDelivery(job('done'), failed)).toMatchObject({ queue: null, refetch: false })
  })
})

describe('a person', () => {
  it('gets what is saved handed over, what is not fetched, and what is queued made due', () => {
    expect(onRequeue(job('done', { savedStatus: 'Completed' }), { refetch: false })).toEqual({
      queue: 'hand_over',
      refetch: false,
    })
    expect(onRequeue(job('dead'), { refetch: false })).toEqual({ queue: 'fetch', refetch: false })
    expect(onRequeue(job('queued'), { refetch: false })).toBeNull()
  })

  it('gets it fetched anew only when asked to', () => {
    for (const state of ['done', 'dead', 'queued'] as const)
      expect(onRequeue(job(state, { savedStatus: 'Completed' }), { refetch: true })).toEqual({
        queue: 'fetch',
        refetch: true,
      })
  })
})

describe('backoff', () => {
  it('doubles up to ten minutes, with full jitter and never under a second', () => {
    const ceilings = [0, 1, 2, 5, 9, 10, 40].map((failures) => backoff(failures, () => 0.999999))
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 32_000, 511_999, 599_999, 599_999])
    expect(backoff(9, () => 0.25)).toBe(128_000)
    expect(backoff(9, () => 0)).toBe(MIN_DELAY_MS)
  })

  it('spreads many jobs over ten minutes at most', () => {
    expect([0, 1, 10].map((index) => spread(index, 20))).toEqual([0, 20, 200])
    expect(spread(999_999, 1_000_000)).toBeLessThan(MAX_DELAY_MS)
  })
})

describe('a failing attempt', () => {
  const retry: CleanOutcome = { is: 'retry', reason: REASON }

  it('is followed by another after a backoff, and spends its duration and the pause', () => {
    const next = after(retry, { ...running, failures: 3, spent: 100 }, 50)
    expect(next).toMatchObject({ state: 'queued', failures: 4, dueAt: NOW + 4_000, spent: 4_150, reason: REASON })
  })

  it('honours Retry-After, up to ten minutes', () => {
    expect(after({ ...retry, after: 90_000 })).toMatchObject({ dueAt: NOW + 90_000, spent: 90_000 })
    expect(after({ ...retry, after: 2 * HOUR }).dueAt).toBe(NOW + MAX_DELAY_MS)
  })

  it('makes the job dead when its patience is spent', () => {
    expect(after(retry, { ...running, spent: patience.fetch - 10 }, 10)).toMatchObject({
      state: 'dead',
      reason: REASON,
    })
    expect(after(retry, { ...running, spent: patience.fetch - 10 }, 9).state).toBe('queued')
    expect(after(retry, { ...running, stage: 'hand_over', spent: patience.fetch }).state).toBe('queued')
  })

  it('never takes patience for a clock that ran backwards', () => {
    expect(after(retry, running, -5_000).spent).toBe(1_000)
  })
})

describe('gone', () => {
  const gone = (confirm: number, fallback = false): CleanOutcome => ({ is: 'gone', reason: REASON, confirm, fallback })

  it('410 is believed on the second try', () => {
    const first = after(gone(0))
    expect(first).toMatchObject({ state: 'queued', goneSpent: 0, dueAt: NOW + 1_000 })
    expect(after(gone(0), first).state).toBe('dead')
  })

  it('404 is believed after it was confirmed for 15 minutes, and a try falls on that moment', () => {
    const first = after(gone(900_000))
    const second = after(gone(900_000), { ...first, failures: 20, spent: 899_000 })
    expect(second).toMatchObject({ state: 'queued', goneSpent: 0, dueAt: NOW + 1_000, spent: 900_000 })
    expect(after(gone(900_000), second).state).toBe('dead')
  })

  it('is forgotten when Reducto says something else in between', () => {
    const first = after(gone(0))
    expect(after({ is: 'retry', reason: REASON }, first).goneSpent).toBeNull()
    expect(after({ is: 'unfinished', reason: REASON }, first).goneSpent).toBeNull()
  })

  it('is final when the patience with the job is shorter', () => {
    expect(after(gone(900_000), { ...running, spent: patience.fetch }).state).toBe('dead')
    const short = { now: NOW, ms: 0, patience: { ...patience, fetch: 5_000 }, random: () => 0.5 }
    const first = afterAttempt(running, gone(900_000), short)
    expect(afterAttempt({ ...first, spent: 5_000 }, gone(900_000), short).state).toBe('dead')
  })

  it('falls back to what is saved', () => {
    const first = after(gone(0, true))
    expect(after(gone(0, true), first)).toMatchObject({
      state: 'queued',
      stage: 'hand_over',
      failures: 0,
      reason: REASON,
    })
  })
})

describe('what costs no attempt', () => {
  it('an unfinished job: looked at again at growing intervals, until patience is spent', () => {
    const unfinished: CleanOutcome = { is: 'unfinished', reason: REASON }
    const next = after(unfinished, { ...running, failures: 2, polls: 5 })
    expect(next).toMatchObject({ state: 'queued', failures: 2, polls: 6, dueAt: NOW + 16_000, spent: 16_000 })
    expect(after(unfinished, { ...running, spent: patience.fetch }).state).toBe('dead')
  })

  it('what is not the job’s fault spends nothing, however late it is', () => {
    const wait: CleanOutcome = { is: 'wait', reason: REASON, after: 1_000 }
    const late = { ...running, failures: 2, goneSpent: 7, spent: patience.fetch + 1 }
    const { spent } = late
    expect(after(wait, late, HOUR)).toMatchObject({
      state: 'queued',
      failures: 2,
      goneSpent: 7,
      dueAt: NOW + 1_000,
      spent,
    })
  })

  it('being interrupted: due at once, nothing spent', () => {
    const next = after({ is: 'interrupted' }, { ...running, failures: 2, reason: REASON, goneSpent: 7, spent: 5 }, HOUR)
    expect(next).toMatchObject({ state: 'queued', failures: 2, goneSpent: 7, dueAt: NOW, spent: 5, reason: REASON })
  })
})

describe('a saved result', () => {
  it('goes on to be handed over, with attempts and patience of that stage', () => {
    const saved = after({ is: 'saved', status: 'Completed', missing: 0 }, { ...running, failures: 9, spent: 11 * HOUR })
    expect(saved).toEqual(freshProgress('hand_over', NOW))
  })

  it('is fetched again when it has disappeared', () => {
    const unsaved = after({ is: 'unsaved', reason: REASON }, { ...running, stage: 'hand_over', failures: 2 })
    expect(unsaved).toEqual({ ...freshProgress('fetch', NOW), reason: REASON })
  })
})

describe('a restart', () => {
  it('counts a crash, and the fifth makes the job dead', () => {
    let crashed = running
    for (let crash = 1; crash < DEAD_AFTER_CRASHES; crash++) {
      crashed = afterRestart(crashed, NOW, false)
      expect(crashed).toMatchObject({ state: 'queued', crashes: crash, dueAt: NOW })
    }
    expect(afterRestart(crashed, NOW, false)).toMatchObject({ state: 'dead', reason: { code: 'crashed' } })
  })

  it('counts no crash when the stop was asked for', () => {
    expect(afterRestart({ ...running, crashes: 4 }, NOW, true)).toMatchObject({
      state: 'queued',
      crashes: 4,
      dueAt: NOW,
    })
  })

  it('is forgotten by a settled attempt, however that ends', () => {
    const outcomes: CleanOutcome[] = [
      { is: 'retry', reason: REASON },
      { is: 'wait', reason: REASON, after: 1 },
      { is: 'unfinished', reason: REASON },
      { is: 'interrupted' },
      { is: 'done', status: 'Completed', missing: 0 },
    ]
    for (const outcome of outcomes) expect(after(outcome, { ...running, crashes: 4 }).crashes).toBe(0)
  })
})

describe('side files', () => {
  const end = { now: NOW, ms: 500, patience, random: () => 0.5 }

  it('are tried again with backoff, or when their host asked for it', () => {
    const first = firstSideFiles(NOW, 0, () => 0.5)
    expect(first).toEqual({ failures: 0, crashes: 0, dueAt: NOW + 1_000, spent: 1_000 })
    expect(firstSideFiles(NOW, 90_000, () => 0.5).dueAt).toBe(NOW + 90_000)
    expect(nextSideFiles(first, 0, end)).toMatchObject({ failures: 1, dueAt: NOW + 1_000, spent: 2_500 })
  })

  it('stay missing when their patience is spent', () => {
    expect(nextSideFiles({ failures: 9, crashes: 0, dueAt: 0, spent: patience.side_files }, 0, end)).toBeNull()
  })

  it('are given up when the process died during five tries, each later than the last', () => {
    const was = { failures: 0, crashes: 0, dueAt: 0, spent: 0 }
    let next: SideFilesProgress = was
    for (let crash = 1; crash < DEAD_AFTER_CRASHES; crash++) {
      const { dueAt } = next
      next = sideFilesAfterRestart(next, NOW, false)!
      expect(next.crashes).toBe(crash)
      expect(next.dueAt).toBeGreaterThan(dueAt)
    }
    expect(sideFilesAfterRestart(next, NOW, false)).toBeNull()
    expect(sideFilesAfterRestart(next, NOW, true)).toMatchObject({ crashes: 4, dueAt: NOW })
  })
})
