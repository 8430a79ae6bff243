import { describe, expect, it } from 'vitest'
import type { Claim } from '../../src/inbox/inbox.ts'
import type { Outcome } from '../../src/job.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import type { AttemptResult } from '../../src/worker/attempt.ts'
import { createJudge, type Judge } from '../../src/worker/judge.ts'
import { createSuspicion } from '../../src/worker/suspicion.ts'
import { createManualClock } from '../support/manual-clock.ts'

/** What attempts tell about everything but their job. */

const never = new AbortController().signal
const claim = (jobId: string, task: Claim['task'] = 'fetch') => ({ jobId, task }) as Claim
const result = (outcome: Outcome, more: Partial<AttemptResult> = {}): AttemptResult => ({
  outcome,
  record: null,
  shared: null,
  known: false,
  calls: 1,
  files: 0,
  bytes: 0,
  times: { fetchMs: null, saveMs: null, handOverMs: null },
  partial: null,
  missingSideFiles: null,
  blockedHosts: [],
  reachedHosts: [],
  handed: null,
  ...more,
})
const names = (judge: Judge) => judge.troubles.map(({ name }) => name)
const saved = { is: 'saved', status: 'Completed', missing: 0 } as const
const unknown = {
  is: 'gone',
  confirm: 1,
  fallback: false,
  reason: { code: 'unknown_job', message: 'no such job' },
} as const

function rig({
  listed = [],
  ours = [],
  check = async () => {},
  lowDisk = null,
  probeAccount = async () => true,
}: {
  listed?: readonly string[]
  ours?: readonly string[]
  check?: () => Promise<void>
  lowDisk?: string | Error | null
  probeAccount?: () => Promise<boolean | null>
} = {}) {
  const suspicion = createSuspicion({
    listJobs: async () => ({
      jobs: listed.map((jobId) => ({ jobId, status: 'Completed', createdAt: null })),
      next: null,
    }),
    isOurs: async (jobId) => ours.includes(jobId),
  })
  const clock = createManualClock()
  const judge = createJudge({
    results: { check },
    queue: { lowDisk: () => (lowDisk instanceof Error ? Promise.reject(lowDisk) : Promise.resolve(lowDisk)) },
    probeAccount,
    suspicion,
    clock,
    events: createEvents(),
    scrub: createScrub([]),
  })
  return { judge, suspicion, clock }
}

describe('an account in doubt', () => {
  function doubted(options: Parameters<typeof rig>[0]) {
    const on = rig(options)
    for (let job = 1; job < 10; job++) expect(on.judge.outcomeOf(claim(`job-${job}`), result(unknown))).toEqual(unknown)
    expect(on.judge.outcomeOf(claim('job-9'), result(unknown))).toEqual(unknown)
    expect(on.judge.outcomeOf(claim('job-10'), result(unknown))).toMatchObject({ is: 'wait' })
    expect(names(on.judge)).toEqual(['reducto_auth'])
    return on
  }

  it('is that of ten different unknown jobs in a row; the newest are tried first until one is found', async () => {
    const { judge, suspicion } = doubted({})
    expect(judge.isOnTrial).toBe(true)
    expect(await suspicion.probe(never)).toBe('trial')
    judge.outcomeOf(claim('found'), result(saved, { known: true }))
    expect(names(judge)).toEqual([])
    expect(judge.isOnTrial).toBe(false)
    // From now on unknown jobs die by their own rule.
    for (let job = 20; job < 40; job++) expect(judge.outcomeOf(claim(`job-${job}`), result(unknown))).toEqual(unknown)
  })

  it('is out of doubt when the list of jobs names one of ours, and only then', async () => {
    expect(await doubted({ listed: ['a', 'b'], ours: ['b'] }).suspicion.probe(never)).toBe('gone')
    expect(await doubted({ listed: ['a', 'b'], ours: ['c'] }).suspicion.probe(never)).toBe('trial')
  })

  it('does not close the gate of the hand-over', () => {
    const { judge } = doubted({})
    expect(judge.fetchGate.cause).toBe('reducto_auth')
    expect(judge.handOverGate.cause).toBeNull()
  })
})

describe('hosts that are refused', () => {
  const refused = { is: 'retry', reason: { code: 'result_missing', message: 'refused' } } as const
  const meet = (judge: ReturnType<typeof rig>['judge'], ...jobs: string[]) => {
    for (const jobId of jobs) judge.outcomeOf(claim(jobId), result(refused, { blockedHosts: ['minio:9000'] }))
  }

  it('show as downloads once three different jobs met one', () => {
    const { judge } = rig()
    meet(judge, 'a', 'a', 'b')
    expect(names(judge)).toEqual([])
    meet(judge, 'c')
    expect(names(judge)).toEqual(['downloads'])
  })

  it('are over when one gives a file, to whichever task', () => {
    const { judge } = rig()
    meet(judge, 'a', 'b', 'c')
    judge.note('d', { shared: null, known: true, blockedHosts: [], reachedHosts: ['minio:9000'] })
    expect(names(judge)).toEqual([])
  })

  it('are over when no job has met one for an hour, and are remembered up to a bound', () => {
    const { judge, clock } = rig()
    meet(judge, 'a', 'b', 'c')
    clock.advance(3_600_001)
    expect(names(judge)).toEqual([])
    for (let host = 0; host < 1_000; host++)
      judge.outcomeOf(claim('x'), result(refused, { blockedHosts: [`host-${host}`] }))
    meet(judge, 'a', 'b', 'c')
    expect(names(judge)).toEqual(['downloads'])
  })
})

describe('the room for results', () => {
  it('is looked at before jobs are claimed, on the disk of the inbox too', async () => {
    const full = rig({ lowDisk: '1 MiB free' })
    expect(await full.judge.canSave(never)).toBe(false)
    expect(names(full.judge)).toEqual(['disk'])
    const refusing = rig({ check: () => Promise.reject(new ResultsUnavailable('results', 'EROFS')) })
    expect(await refusing.judge.canSave(never)).toBe(false)
    expect(names(refusing.judge)).toEqual(['results'])
  })

  it('pauses too when the disk of the inbox cannot be checked', async () => {
    const { judge } = rig({ lowDisk: new Error('EIO: i/o error, statfs') })
    expect(await judge.canSave(never)).toBe(false)
    expect(names(judge)).toEqual(['disk'])
  })

  it('is no reason to pause when descriptors have run out for a moment', async () => {
    const { judge } = rig({ check: () => Promise.reject(new ResultsUnavailable('busy', 'EMFILE')) })
    expect(await judge.canSave(never)).toBe(true)
    expect(names(judge)).toEqual([])
  })
})

it('five failing calls of the handler in a row show, whichever jobs they were for; what the handler was not asked does not count', () => {
  const { judge } = rig()
  const failed = { is: 'retry', reason: { code: 'handler', message: 'down' } } as const
  const call = (jobId: string, outcome: Outcome, handed: AttemptResult['handed']) =>
    judge.outcomeOf(claim(jobId, 'hand_over'), result(outcome, { handed }))
  for (let index = 1; index <= 4; index++) call(`job-${index}`, failed, 'retry')
  call('job-5', { is: 'interrupted' }, null)
  call('job-6', { is: 'retry', reason: { code: 'results', message: 'it cannot be read' } }, null)
  expect(names(judge)).toEqual([])
  call('job-7', failed, 'retry')
  expect(names(judge)).toEqual(['handler'])
  call('job-8', { is: 'done', status: 'Completed', missing: 0 }, 'taken')
  expect(names(judge)).toEqual([])
})

describe('Reducto', () => {
  const broken = { is: 'retry', reason: { code: 'http_503', message: 'overloaded' } } as const
  const down = { is: 'retry', reason: { code: 'network', message: 'connect ECONNREFUSED' } } as const

  it('is the trouble when it has given only errors, or no answer, for two minutes, until it answers', () => {
    const { judge, clock } = rig()
    judge.outcomeOf(claim('job-1'), result(down))
    clock.advance(119_000)
    judge.outcomeOf(claim('job-2'), result(broken))
    expect(names(judge)).toEqual([])
    clock.advance(1_000)
    judge.outcomeOf(claim('job-1'), result(down))
    expect(judge.troubles).toMatchObject([{ name: 'reducto', message: expect.stringContaining('ECONNREFUSED') }])
    judge.outcomeOf(claim('job-3'), result(saved, { known: true }))
    expect(names(judge)).toEqual([])
    judge.outcomeOf(claim('job-1'), result(down))
    expect(names(judge)).toEqual([])
  })

  it('is not the trouble for what one job meets, nor for ever when there is nothing more to ask', () => {
    const { judge, clock } = rig()
    const limited = { is: 'retry', reason: { code: 'http_429', message: 'slow down' } } as const
    for (let minute = 0; minute < 5; minute++) {
      judge.outcomeOf(claim('job-1'), result(limited))
      clock.advance(60_000)
    }
    expect(names(judge)).toEqual([])
    for (let minute = 0; minute < 3; minute++) {
      judge.outcomeOf(claim('job-1'), result(down))
      clock.advance(60_000)
    }
    expect(names(judge)).toEqual(['reducto'])
    clock.advance(3_600_000)
    expect(names(judge)).toEqual([])
  })

  it('is asked once at start whether the key is good: a refusal pauses, no answer does not', async () => {
    for (const [answer, shown] of [
      [false, ['reducto_auth']],
      [null, []],
      [new Error('no network'), []],
    ] as const) {
      const { judge } = rig({ probeAccount: async () => (answer instanceof Error ? Promise.reject(answer) : answer) })
      await judge.start(never)
      expect(names(judge), String(answer)).toEqual(shown)
    }
  })
})
