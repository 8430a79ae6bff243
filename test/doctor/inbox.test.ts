import { describe, expect, it } from 'vitest'
import type { DoctorContext } from '../../src/doctor/context.ts'
import { dead } from '../../src/doctor/dead.ts'
import { runDoctor } from '../../src/doctor/doctor.ts'
import { expected } from '../../src/doctor/expected.ts'
import { findingOf, ok, problem, Skip, warning } from '../../src/doctor/finding.ts'
import { isPublic } from '../../src/doctor/outside/dns.ts'
import { jobsOf, latestDelivery } from '../../src/doctor/pages.ts'
import type { JobRow, Ledger } from '../../src/inbox/inbox.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'

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
  it.each([
    ['none', [], 'ok'],
    ['of a minute ago', [60_000], 'ok'],
    ['of two hours ago', [60_000, 2 * HOUR], 'warning'],
    ['of yesterday', [24 * HOUR], 'problem'],
  ])('%s', async (_what, ages, status) => {
    const rows = ages.map((age, index) => ({ jobId: `job-${index}`, createdAt: NOW - age }))
    expect(await expected.run(contextWith(rows), neverAborts)).toMatchObject({ status })
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
