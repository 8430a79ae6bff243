import { describe, expect, it } from 'vitest'
import { MAX_DELAY_MS } from '../../src/backoff.ts'
import type { CleanReason } from '../../src/job.ts'
import { createEvents, type PauseCause } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { createGate, PROBE_EVERY_MS, type Probe } from '../../src/worker/gate.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { event } from '../support/service.ts'

/** What stands between a stage and its jobs. */

const never = new AbortController().signal
const reason: CleanReason = { code: 'reducto_auth', message: createScrub([])('refused') }

function rig() {
  const clock = createManualClock()
  const events = createEvents()
  const gate = createGate({ clock, events, random: () => 1 })
  /** Moves time to the next probe. */
  async function toProbe(): Promise<void> {
    await clock.sleeping(PROBE_EVERY_MS)
    clock.advance(PROBE_EVERY_MS)
  }
  return { clock, events, gate, toProbe }
}

/** Answers in turn; tells of each that it was asked. */
function probing(...answers: Awaited<ReturnType<Probe>>[]) {
  const asked = answers.map(() => Promise.withResolvers<void>())
  let count = 0
  const probe: Probe = async () => {
    asked[count]!.resolve()
    return answers[count++]!
  }
  return { probe, asked: asked.map(({ promise }) => promise) }
}

describe('a pause', () => {
  it('ends when its probe says so, asked every 30 s; all is told', async () => {
    const { gate, clock, events, toProbe } = rig()
    const { probe, asked } = probing('still', 'still', 'gone')
    const paused = event(events, 'paused')
    const resumed = event(events, 'resumed')
    gate.close('reducto_auth', reason, probe)
    expect(await paused).toEqual({ cause: 'reducto_auth', reason })
    const open = gate.waitUntilOpen(never)
    for (const one of asked) {
      await toProbe()
      await one
    }
    expect(await open).toBe('open')
    expect(await resumed).toEqual({ cause: 'reducto_auth', ms: 3 * PROBE_EVERY_MS })
    expect(gate.cause).toBeNull()
    expect(clock.monotonic()).toBe(3 * PROBE_EVERY_MS)
  })

  it('lets jobs through on trial, and stays', async () => {
    const { gate, toProbe } = rig()
    gate.close('reducto_auth', reason, probing('trial').probe)
    const passed = gate.waitUntilOpen(never)
    await toProbe()
    expect(await passed).toBe('trial')
    expect(gate.cause).toBe('reducto_auth')
  })

  it('keeps its first cause', () => {
    const { gate } = rig()
    const causes: PauseCause[] = ['disk', 'results']
    for (const cause of causes) gate.close(cause, reason, probing('gone').probe)
    expect(gate.cause).toBe('disk')
  })

  it('is not ended by the probe of one before it', async () => {
    const { gate, toProbe } = rig()
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<'gone'>()]
    gate.close('reducto_auth', reason, () => {
      asked.resolve()
      return answer.promise
    })
    const stop = new AbortController()
    const waiting = gate.waitUntilOpen(stop.signal)
    await toProbe()
    await asked.promise
    gate.open()
    gate.close('disk', reason, probing('still').probe)
    answer.resolve('gone')
    await new Promise(setImmediate)
    expect(gate.cause).toBe('disk')
    stop.abort()
    await waiting
  })

  it('ends no stop', async () => {
    const { gate, clock } = rig()
    gate.close('disk', reason, probing('still').probe)
    const stop = new AbortController()
    const waiting = gate.waitUntilOpen(stop.signal)
    await clock.sleeping(PROBE_EVERY_MS)
    stop.abort()
    await waiting
  })
})

describe('a limit on calls', () => {
  it('holds claims for as long as it asks, at most ten minutes', async () => {
    const { gate, clock } = rig()
    gate.rateLimited(5_000)
    const open = gate.waitUntilOpen(never)
    await clock.sleeping(5_000)
    clock.advance(5_000)
    expect(await open).toBe('open')
    gate.rateLimited(MAX_DELAY_MS * 9)
    const later = gate.waitUntilOpen(never)
    await clock.sleeping(MAX_DELAY_MS)
    clock.advance(MAX_DELAY_MS)
    expect(await later).toBe('open')
  })

  it('grows with every one in a row; several at once are one; a call that goes through ends the row', () => {
    const { gate, clock, events } = rig()
    const slowed: number[] = []
    events.on('slowed', ({ ms }) => slowed.push(ms))
    for (let calls = 0; calls < 5; calls++) gate.rateLimited(undefined)
    expect(slowed).toEqual([1_000])
    for (let row = 0; row < 2; row++) {
      clock.advance(slowed.at(-1)!)
      gate.rateLimited(undefined)
    }
    expect(slowed).toEqual([1_000, 2_000, 4_000])
    gate.callSucceeded()
    clock.advance(4_000)
    gate.rateLimited(undefined)
    expect(slowed.at(-1)).toBe(1_000)
  })
})
