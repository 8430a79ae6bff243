import { register } from 'prom-client'
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../src/job.ts'
import { MAX_WAIT_MS } from '../../src/telemetry/cached.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { FAMILIES, PREFIX } from '../../src/telemetry/families.ts'
import { createMetrics, type MetricsDeps } from '../../src/telemetry/metrics.ts'
import type { CleanText } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { parsePrometheus, sampleValue } from '../support/prometheus.ts'

const NOW = Date.UTC(2026, 0, 1)
const STATS = {
  jobs: { expected: 0, queued: 3, running: 1, done: 9, dead: 2 },
  oldestDueAt: { fetch: NOW - 90_000, hand_over: NOW + 60_000 },
  lastVerifiedAt: NOW - 5_000,
  expectedOverdue: 3,
}

function rig(changed: Partial<MetricsDeps> = {}) {
  const events = createEvents()
  const clock = createManualClock(NOW)
  const metrics = createMetrics({
    events,
    clock,
    signingSecrets: new Map([
      ['default', 1],
      ['production', 2],
    ]),
    hasDirect: false,
    types: ['Parse', 'Extract'],
    build: { version: '1.2.3', node: 'v24.0.0', inbox: 'sqlite', results: 'file', handler: 'module' },
    places: { fetch: 8, hand_over: 8 },
    minFree: 1_000,
    live: () => ({
      isReady: true,
      degraded: ['worker_paused', 'handler'],
      bodiesInFlight: 17,
      waitingRows: 4,
      busy: { fetch: 2, hand_over: 1 },
    }),
    stats: async () => STATS,
    atRisk: async () => ({ jobs: 3, soonest: [{ receivedAt: NOW - 3_600_000 }, { receivedAt: NOW }] }),
    searchLag: async () => 3,
    disks: async () => ({ parts: { database: 4_096, log: 0 }, free: { inbox: 5_000 } }),
    ...changed,
  })
  return { events, clock, metrics }
}

type Settled = Events['settled'][0]

function settled(outcome: Outcome, changed: Partial<Settled> = {}): Settled {
  const clean = outcome as Settled['outcome']
  const seen = { calls: 1, files: 0, bytes: 0, type: null, sinceDelivery: null }
  return {
    ...{ jobId: 'job-1', stage: 'fetch', outcome: clean, state: 'queued', attempt: 1, dueAt: 0, ms: 200, ...seen },
    ...changed,
  }
}

const reason = (code: string) => ({ code, message: 'words' as CleanText })

describe('the text', () => {
  it('is Prometheus’s, has every family with its help, and the process’s own', async () => {
    const { metrics } = rig()
    const families = parsePrometheus(await metrics.text())
    for (const [name, { kind, help }] of Object.entries(FAMILIES))
      expect(families.get(PREFIX + name), name).toMatchObject({ type: kind, help })
    expect([...families.keys()].filter((name) => name.startsWith(PREFIX))).toHaveLength(Object.keys(FAMILIES).length)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds'])
      expect(families.get(name)?.samples.length, name).toBeGreaterThan(0)
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
  })

  it('of two receivers in one process has nothing in common, and prom-client’s own registry stays the app’s', async () => {
    const [one, other] = [rig(), rig()]
    one.events.emit('slowed', { ms: 1 })
    expect(sampleValue(await one.metrics.text(), 'slowed_total')).toBe(1)
    expect(sampleValue(await other.metrics.text(), 'slowed_total')).toBe(0)
    expect(register.getMetricsAsArray()).toEqual([])
  })

  it('shows what is known without asking', async () => {
    const text = await rig().metrics.text()
    const values = {
      ready: sampleValue(text, 'ready'),
      handler_failing: sampleValue(text, 'handler_failing'),
      operator: sampleValue(text, 'paused', { cause: 'operator' }),
      disk: sampleValue(text, 'paused', { cause: 'disk' }),
      bodies: sampleValue(text, 'bodies_in_flight_bytes'),
      waiting: sampleValue(text, 'inbox_waiting_rows'),
      busy: sampleValue(text, 'busy', { stage: 'fetch' }),
      places: sampleValue(text, 'places', { stage: 'hand_over' }),
      minFree: sampleValue(text, 'min_free_disk_bytes'),
      secrets: sampleValue(text, 'signing_secrets', { endpoint: 'production' }),
      build: sampleValue(text, 'build_info', { version: '1.2.3', results: 'file' }),
    }
    expect(values).toEqual({
      ...{ ready: 1, handler_failing: 1, operator: 1, disk: 0, bodies: 17, waiting: 4, busy: 2, places: 8 },
      ...{ minFree: 1_000, secrets: 2, build: 1 },
    })
  })

  it('shows how many results only Reducto has, and when it deletes the first', async () => {
    const text = await rig().metrics.text()
    expect(sampleValue(text, 'results_at_risk')).toBe(3)
    expect(sampleValue(text, 'next_purge_timestamp_seconds')).toBe((NOW + 11 * 3_600_000) / 1_000)
    const none = await rig({ atRisk: async () => ({ jobs: 0, soonest: [] }) }).metrics.text()
    expect(sampleValue(none, 'results_at_risk')).toBe(0)
    expect(sampleValue(none, 'next_purge_timestamp_seconds')).toBeUndefined()
  })

  it('counts what operators do, each from zero on', async () => {
    const { events, metrics } = rig()
    events.emit('action', { action: 'retry', who: 'ada', role: 'write', jobs: 9 })
    const text = await metrics.text()
    expect(sampleValue(text, 'operator_actions_total', { action: 'retry' })).toBe(1)
    expect(sampleValue(text, 'operator_actions_total', { action: 'erase' })).toBe(0)
  })

  it('shows what the inbox and the disks say', async () => {
    const text = await rig().metrics.text()
    expect(sampleValue(text, 'jobs', { state: 'dead' })).toBe(2)
    expect(sampleValue(text, 'oldest_due_seconds', { stage: 'fetch' })).toBe(90)
    expect(sampleValue(text, 'oldest_due_seconds', { stage: 'hand_over' })).toBe(0)
    expect(sampleValue(text, 'inbox_bytes', { part: 'database' })).toBe(4_096)
    expect(sampleValue(text, 'free_disk_bytes', { store: 'inbox' })).toBe(5_000)
    expect(sampleValue(text, 'free_disk_bytes', { store: 'results' })).toBeUndefined()
  })
})

describe('the last verified delivery', () => {
  const name = 'last_verified_delivery_timestamp_seconds'

  it('comes from the inbox after a start, where there is only one endpoint', async () => {
    const { metrics, events, clock } = rig({ signingSecrets: new Map([['default', 1]]) })
    const labels = { endpoint: 'default' }
    expect(sampleValue(await metrics.text(), name, labels)).toBe(NOW / 1_000 - 5)
    clock.advance(10_000)
    const delivery = { endpoint: 'default', svixId: 'msg_1', jobId: 'a', status: 'Completed', ms: 1 } as const
    events.emit('delivery', { ...delivery, outcome: 'accepted' })
    expect(sampleValue(await metrics.text(), name, labels)).toBe(NOW / 1_000 + 10)
  })

  it('is not known by endpoint where there are several, until one comes', async () => {
    const { metrics, events } = rig()
    expect(sampleValue(await metrics.text(), name, { endpoint: 'default' })).toBeUndefined()
    const delivery = { endpoint: 'production', svixId: 'msg_1', jobId: 'a', status: 'Completed', ms: 1 } as const
    events.emit('delivery', { ...delivery, outcome: 'duplicate' })
    const text = await metrics.text()
    expect(sampleValue(text, name, { endpoint: 'default' })).toBeUndefined()
    expect(sampleValue(text, name, { endpoint: 'production' })).toBe(NOW / 1_000)
    expect(sampleValue(text, 'deliveries_total', { endpoint: 'production', outcome: 'duplicate' })).toBe(1)
    expect(sampleValue(text, 'acknowledgement_seconds_count')).toBe(1)
  })
})

describe('labels come from settings and code only', () => {
  it('whatever a request, an answer or an author says', async () => {
    const { metrics, events } = rig()
    for (let index = 0; index < 50; index++) {
      events.emit('refused', { endpoint: `x${index}`, status: 404, reason: `because ${index}`, peer: '::1' })
      events.emit('settled', settled({ is: 'retry', reason: reason(`own_${index}`) }))
      events.emit('settled', settled({ is: 'retry', reason: reason(`http_${600 + index}`) }))
      events.emit('settled', settled({ is: 'dead', reason: reason('refused') }, { state: 'dead', type: `T${index}` }))
      events.emit('failing', { what: `something ${index}`, error: null })
    }
    const text = await metrics.text()
    expect(sampleValue(text, 'refused_total', { endpoint: 'unknown', reason: 'other' })).toBe(50)
    expect(sampleValue(text, 'attempts_total', { stage: 'fetch', outcome: 'retry', reason: 'other' })).toBe(100)
    expect(sampleValue(text, 'settled_total', { type: 'other', outcome: 'dead' })).toBe(50)
    expect(sampleValue(text, 'stuck_total', { what: 'other' })).toBe(50)
    expect(text).not.toMatch(/own_|because|http_6|T1"/)
  })

  it('with the codes that are known', async () => {
    const { metrics, events } = rig()
    for (const code of ['http_503', 'forward_500', 'handler_timeout', 'unknown_job'])
      events.emit('settled', settled({ is: 'retry', reason: reason(code) }))
    const text = await metrics.text()
    for (const code of ['http_503', 'forward_500', 'handler_timeout', 'unknown_job'])
      expect(sampleValue(text, 'attempts_total', { reason: code }), code).toBe(1)
  })
})

describe('jobs', () => {
  it('that end are counted by kind and by how they ended, with the time since their delivery', async () => {
    const { metrics, events } = rig()
    const saved = { is: 'saved', status: 'Completed', missing: 1 } as const
    events.emit('settled', settled(saved, { files: 4, bytes: 900, type: 'Parse', sinceDelivery: 2_000 }))
    const done = { is: 'done', status: 'Completed', missing: 1 } as const
    const handed = { stage: 'hand_over', state: 'done', calls: 0, type: 'Parse', sinceDelivery: 4_000 } as const
    events.emit('settled', settled(done, handed))
    events.emit('settled', settled({ is: 'done', status: 'Failed', missing: 0 }, { state: 'done', bytes: 10 }))
    events.emit('settled', settled({ is: 'unfinished', reason: reason('unfinished') }))
    events.emit('settled', settled({ is: 'interrupted' }))
    const text = await metrics.text()
    const values = {
      done: sampleValue(text, 'settled_total', { type: 'Parse', outcome: 'done' }),
      failed: sampleValue(text, 'settled_total', { type: 'other', outcome: 'failed' }),
      dead: sampleValue(text, 'settled_total', { type: 'Extract', outcome: 'dead' }),
      savedSeconds: sampleValue(text, 'saved_seconds_sum'),
      savedCount: sampleValue(text, 'saved_seconds_count'),
      doneSeconds: sampleValue(text, 'done_seconds_sum'),
      fetchOk: sampleValue(text, 'fetch_seconds_count', { outcome: 'ok' }),
      fetchError: sampleValue(text, 'fetch_seconds_count', { outcome: 'error' }),
      handedOver: sampleValue(text, 'hand_over_seconds_count', { outcome: 'ok' }),
      bytes: sampleValue(text, 'saved_bytes_total'),
      files: sampleValue(text, 'saved_files_total', { outcome: 'saved' }),
      missing: sampleValue(text, 'saved_files_total', { outcome: 'missing' }),
    }
    expect(values).toEqual({
      ...{ done: 1, failed: 1, dead: 0, savedSeconds: 2, savedCount: 1, doneSeconds: 4, fetchOk: 2 },
      ...{ fetchError: undefined, handedOver: 1, bytes: 910, files: 3, missing: 1 },
    })
  })
})

describe('an inbox or a disk that hangs', () => {
  it('holds up nobody for long; the last answer is shown until it is a minute old', async () => {
    let hangs = false
    let asked = 0
    const { metrics, clock } = rig({
      stats: () => {
        asked++
        return hangs ? new Promise(() => {}) : Promise.resolve(STATS)
      },
    })
    await metrics.text()
    await metrics.text()
    expect(asked).toBe(1)

    hangs = true
    clock.advance(30_000)
    const waiting = metrics.text()
    await clock.sleeping(MAX_WAIT_MS)
    clock.advance(MAX_WAIT_MS)
    const text = await waiting
    expect(sampleValue(text, 'jobs', { state: 'queued' })).toBe(3)
    expect(sampleValue(text, 'oldest_due_seconds', { stage: 'fetch' })).toBe(120.5)

    clock.advance(30_000)
    const later = await metrics.text()
    expect(sampleValue(later, 'jobs', { state: 'queued' })).toBeUndefined()
    expect(sampleValue(later, 'ready')).toBe(1)
    expect(asked).toBe(2)
  })

  it('one that fails is asked again', async () => {
    const answers = [Promise.reject(new Error('no database')), Promise.resolve(STATS)]
    const { metrics } = rig({ stats: () => answers.shift()! })
    expect(sampleValue(await metrics.text(), 'jobs', { state: 'queued' })).toBeUndefined()
    expect(sampleValue(await metrics.text(), 'jobs', { state: 'queued' })).toBe(3)
  })
})
