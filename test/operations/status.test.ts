import { describe, expect, it } from 'vitest'
import type { JobFilter, JobRow, ListedDelivery } from '../../src/inbox/inbox.ts'
import { type Readiness, statusOf } from '../../src/operations/status.ts'

const HOUR = 3_600_000
const NOW = 100 * HOUR

type Given = {
  readonly isRunning?: boolean
  readonly readiness?: Readiness | null
  readonly dead?: number
  readonly pause?: { since: number; reason: string | null } | null
  readonly oldest?: (filter: JobFilter) => JobRow | null
  readonly rejected?: number
  readonly free?: number | null
}

const READY: Readiness = { notReady: [], degraded: [], details: {} }
const job = (jobId: string, createdAt: number) => ({ jobId, createdAt }) as JobRow

function status(given: Given = {}) {
  const { isRunning = true, readiness = READY, dead = 0, pause = null, oldest = () => null, rejected = 0 } = given
  return statusOf({
    ledger: {
      stats: async () => ({
        jobs: { expected: 0, queued: 0, running: 0, done: 5, dead },
        deliveries: { job: 5, ignored: 0, rejected },
        oldestQueuedAt: null,
        oldestDueAt: { fetch: null, hand_over: null },
        lastVerifiedAt: 1,
        endpoints: [],
        queued: { fetch: 0, hand_over: 0 },
        paused: pause !== null,
      }),
      service: async () => ({ pause, startedAt: 2 }),
      oldest: async (filter) => oldest(filter),
      deliveries: async (_filter, { limit }) => ({
        rows: Array.from({ length: Math.min(rejected, limit) }, () => ({}) as ListedDelivery),
        next: null,
        searchedTo: null,
      }),
    },
    isRunning: () => isRunning,
    readiness: async () => readiness,
    disks: async () => [{ what: 'inbox', place: '/data', free: given.free === undefined ? 1_000 : given.free }],
    minFree: 100,
    version: '1.2.3',
    now: () => NOW,
  })
}

const codes = async (given: Given) => (await status(given)).needs.map(({ code }) => code)

describe('what needs a person', () => {
  it('is nothing when all is well', async () => {
    expect(await status()).toMatchObject({ needs: [], isRunning: true, startedAt: 2, version: '1.2.3' })
    expect(await codes({ free: null })).toEqual([])
  })

  it.each<[string, Given, string[]]>([
    ['no service', { isRunning: false }, ['not_running']],
    ['one that does not answer', { readiness: null }, ['no_answer']],
    ['one that cannot record', { readiness: { ...READY, notReady: ['inbox'] } }, ['inbox']],
    ['a pause', { pause: { since: 1, reason: 'upgrade' } }, ['worker_paused']],
    [
      'a pause that /readyz says, too',
      { pause: { since: 1, reason: null }, readiness: { ...READY, degraded: ['worker_paused'] } },
      ['worker_paused'],
    ],
    ['a degradation of a later version', { readiness: { ...READY, degraded: ['moon'] } }, ['moon']],
    ['dead jobs', { dead: 2 }, ['dead']],
    ['deliveries that were not understood', { rejected: 1 }, ['rejected']],
    ['more of them than are counted', { rejected: 5_000 }, ['rejected']],
    ['a full disk', { free: 99 }, ['disk']],
  ])('is %s', async (_name, given, expected) => {
    expect(await codes(given)).toEqual(expected)
  })

  it('is told with what to do', async () => {
    const { needs } = await status({ pause: { since: 1, reason: 'upgrade' }, dead: 1, rejected: 5_000 })
    const told = needs.map(({ message }) => message).join('\n')
    for (const text of ['(upgrade)', '`resume`', 'jobs retry --state dead', '1000 or more deliveries'])
      expect(told).toContain(text)
    const details = { reducto: { message: 'Reducto answers nothing' } }
    const degraded = await status({ readiness: { ...READY, degraded: ['reducto'], details } })
    expect(degraded.needs).toEqual([{ code: 'reducto', message: 'Reducto answers nothing' }])
  })

  it('is a purge that is near, of waiting jobs and of dead ones that a retry could save', async () => {
    const of = (state: string, createdAt: number) =>
      status({
        oldest: (filter) => (filter.state === state && filter.stage === 'fetch' ? job(state, createdAt) : null),
      })
    expect(await of('queued', NOW - HOUR)).toMatchObject({
      nextPurge: { jobId: 'queued', at: NOW + 11 * HOUR },
      needs: [],
    })
    expect(await of('queued', NOW - 10 * HOUR)).toMatchObject({ needs: [{ code: 'purge' }] })
    expect(await of('running', NOW - 10 * HOUR)).toMatchObject({ needs: [{ code: 'purge' }] })
    expect(await of('dead', NOW - 10 * HOUR)).toMatchObject({ nextPurge: { jobId: 'dead' } })
    const asked: JobFilter[] = []
    await status({
      oldest: (filter) => {
        asked.push(filter)
        return null
      },
    })
    expect(asked.find(({ state }) => state === 'dead')).toMatchObject({ createdSince: NOW - 12 * HOUR })
  })
})
