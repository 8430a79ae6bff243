import { describe, expect, it } from 'vitest'
import type { DoctorContext } from '../../src/doctor/context.ts'
import { dead } from '../../src/doctor/dead.ts'
import { runDoctor } from '../../src/doctor/doctor.ts'
import { expected } from '../../src/doctor/expected.ts'
import { findingOf, ok, problem, Skip, warning } from '../../src/doctor/finding.ts'
import { isPublic } from '../../src/doctor/outside/dns.ts'
import { jobsOf, latestDelivery } from '../../src/doctor/pages.ts'
import type { JobRow, Ledger } from '../../src/inbox/inbox.ts'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000

function contextWith(rows: readonly Partial<JobRow>[]): DoctorContext {
  const list = async () => ({ rows, next: null, searchedTo: null })
  return { ledger: async () => ({ list }), now: () => NOW } as unknown as DoctorContext
}

const neverAborts = new AbortController().signal
const reason = (code: string) => ({ code, message: `why ${code}` }) as JobRow['reason']

describe('dead jobs', () => {
  it('are told by cause, the most frequent first, with what Resend would do', async () => {
    const rows = [
      { jobId: 'a', stage: 'fetch', reason: reason('unknown_job') },
      { jobId: 'b', stage: 'fetch', reason: reason('http_500') },
      { jobId: 'c', stage: 'fetch', reason: reason('http_500') },
      { jobId: 'd', stage: 'hand_over', reason: reason('handler') },
    ] as const
    const { items } = await dead.run(contextWith(rows), neverAborts)
    expect(items.map(({ found }) => found.split(' (')[0])).toEqual([
      '2 dead: http_500',
      '1 dead: unknown_job',
      '1 dead: handler',
    ])
    expect(items[0]?.cure).toMatch(/`jobs retry --state dead --code http_500`, or Resend .* within 12 hours/)
    expect(items[1]?.cure).toMatch(/Resend would end the same way/)
    expect(items[2]?.cure).toMatch(/saved.*hands them over again/)
  })
})

describe('a walk through pages', () => {
  it('goes on over empty ones, and ends', async () => {
    const pages = [
      { rows: [], next: '1', searchedTo: 1 },
      { rows: [], next: '2', searchedTo: 1 },
      { rows: [{ jobId: 'a', lastAt: 1 }], next: null, searchedTo: null },
    ]
    const page = async (_filter: unknown, { cursor = '0' }: { cursor?: string }) => pages[Number(cursor)]
    const ledger = { list: page, deliveries: page } as unknown as Ledger
    expect(await jobsOf(ledger, {}, 10, neverAborts)).toMatchObject({ jobs: [{ jobId: 'a' }], isAll: true })
    expect(await latestDelivery(ledger, {}, neverAborts)).toMatchObject({ jobId: 'a' })
    expect(await jobsOf(ledger, {}, 10, AbortSignal.abort())).toMatchObject({ jobs: [], isAll: false })
  })
})

describe('addresses', () => {
  it.each(['1.1.1.1', '2606:4700::1', '64:ff9b::0101:0101'])('%s is public', (address) => {
    expect(isPublic(address)).toBe(true)
  })
  it.each([
    '10.0.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.1.1',
    '127.0.0.1',
    '::1',
    'fd00::1',
    'fe80::1',
    '::ffff:10.0.0.1',
  ])('%s is not', (address) => {
    expect(isPublic(address)).toBe(false)
  })
})

describe('expected jobs', () => {
  /** What the check finds of jobs of these ages. */
  async function checked(ages: readonly number[], every: number | null = 15 * 60_000) {
    const clock = createManualClock()
    const inbox = openMemory({ clock })
    for (const [index, age] of ages.entries()) {
      clock.jump(-age)
      await inbox.expect(`job-${index}`, { by: 'test' })
      clock.jump(age)
    }
    const settings = { get: () => every }
    return expected.run(
      { ledger: async () => inbox, now: clock.now, settings } as unknown as DoctorContext,
      neverAborts,
    )
  }

  it.each([
    ['none', [], 'ok', /no job is overdue/],
    ['of a minute ago', [60_000], 'ok', /no job is overdue/],
    ['that the service has not asked for yet', [60_000, HOUR], 'ok', /1 expected job is overdue, and the service asks/],
    ['of two hours ago', [60_000, 2 * HOUR], 'warning', /1 expected job is overdue.*\(job-1\)/],
    ['of yesterday', [24 * HOUR], 'problem', /1 for more than 12 hours/],
  ])('%s', async (_what, ages, status, found) => {
    expect(await checked(ages)).toMatchObject({ status, found: expect.stringMatching(found) })
  })

  it('are many, and all are counted', async () => {
    const { found } = await checked(Array.from({ length: 1_500 }, () => 2 * HOUR))
    expect(found).toMatch(/^1500 expected jobs are overdue.*job-2, …/)
  })

  it('have a cure that names the command that finds them, and who should ask', async () => {
    expect((await checked([50 * HOUR])).cure).toMatch(/every 15 to 60 min.*`reconcile --since 4d`/)
    expect((await checked([HOUR], null)).cure).toMatch(/RECONCILE_EVERY is off.*`reconcile --since 2d`/)
  })
})

describe('a finding', () => {
  it('is as bad as its worst item, says what is common once, and counts what is too much', () => {
    expect(findingOf([ok('a'), warning('b', 'c'), problem('d', 'e'), ok('a')])).toMatchObject({
      ...{ status: 'problem', found: 'd', cure: 'e' },
      items: [{ found: 'd' }, { found: 'b' }, { found: 'a' }],
    })
    const many = findingOf(Array.from({ length: 30 }, (_, index) => problem(`cause ${index}`, null)))
    expect(many.items).toHaveLength(21)
    expect(many.items.at(-1)).toMatchObject({ status: 'skipped', found: '10 more' })
    expect(findingOf([])).toMatchObject({ status: 'skipped' })
  })
})

describe('doctor', () => {
  it('goes on whatever its checks meet, and tells no secret', async () => {
    const broken = new Proxy({} as DoctorContext, {
      get(_target, name) {
        if (name === 'scrub') return createScrub(['the-secret-itself'])
        if (name === 'outside') return null
        throw new Error(`the ${String(name)} of the-secret-itself is broken`)
      },
    })
    const seen: string[] = []
    const report = await runDoctor(broken, ({ name }, left) => void seen.push(`${name} ${left}`))
    expect(report.worst).toBe('problem')
    expect(report.checks.filter(({ status }) => status === 'ok')).toEqual([])
    expect(JSON.stringify(report)).not.toContain('the-secret-itself')
    expect(seen).toHaveLength(report.checks.length)
    expect(new Skip('x').name).toBe('Skip')
  })
})
