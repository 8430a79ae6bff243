import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { countMinutes, type MinutesDeps, WRITE_EVERY_MS } from '../../src/telemetry/minutes.ts'
import type { CleanText } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'

const NOW = Date.UTC(2026, 0, 1)
type Written = Parameters<MinutesDeps['write']>[0]

function rig() {
  const events = createEvents()
  const clock = createManualClock(NOW)
  const write = vi.fn<(minutes: Written) => Promise<void>>(async () => {})
  const minutes = countMinutes({ events, clock, write })
  onTestFinished(() => minutes.stop())
  const deliver = (outcome: Events['delivery'][0]['outcome']) =>
    events.emit('delivery', { endpoint: 'default', svixId: 'msg', jobId: null, status: null, outcome, ms: 1 })
  const settle = (state: string, outcome: Events['settled'][0]['outcome']) =>
    events.emit('settled', {
      ...{ jobId: 'job-1', stage: 'fetch', outcome, state, attempt: 1, dueAt: 0, ms: 1 },
      ...{ calls: 1, files: 0, bytes: 0, type: null, sinceDelivery: null },
    })
  async function nextMinute(): Promise<void> {
    await clock.sleeping(WRITE_EVERY_MS)
    clock.advance(WRITE_EVERY_MS)
    await clock.sleeping(WRITE_EVERY_MS)
  }
  return { events, clock, write, minutes, deliver, settle, nextMinute }
}

describe('what happens is counted by the minute', () => {
  it('in memory, and written as one change a minute', async () => {
    const { events, write, deliver, settle, nextMinute } = rig()
    for (const outcome of ['accepted', 'accepted', 'duplicate', 'ignored'] as const) deliver(outcome)
    for (const reason of ['no_match', 'no_match', 'made up'])
      events.emit('refused', { endpoint: 'default', status: 401, reason, peer: '' })
    settle('done', { is: 'done', status: 'Completed', missing: 0 })
    settle('done', { is: 'done', status: 'Failed', missing: 0 })
    settle('dead', { is: 'dead', reason: { code: 'x', message: '' as CleanText } })
    settle('queued', { is: 'interrupted' })
    expect(write).not.toHaveBeenCalled()
    await nextMinute()
    expect(write.mock.calls).toEqual([
      [
        [
          {
            at: NOW,
            counts: {
              ...{ accepted: 2, duplicate: 1, ignored: 1, 'refused:no_match': 2, 'refused:other': 1 },
              ...{ done: 1, failed: 1, dead: 1 },
            },
          },
        ],
      ],
    ])
    await nextMinute()
    // A minute in which nothing happens costs no change.
    expect(write).toHaveBeenCalledTimes(1)
  })

  it('and kept while it cannot be written, each in its own minute', async () => {
    const { clock, write, deliver, nextMinute } = rig()
    deliver('accepted')
    write.mockImplementationOnce(async () => {
      deliver('duplicate')
      throw new Error('disk full')
    })
    await nextMinute()
    deliver('accepted')
    await nextMinute()
    expect(write.mock.lastCall![0]).toEqual([
      { at: NOW, counts: { accepted: 1 } },
      { at: NOW + WRITE_EVERY_MS, counts: { duplicate: 1, accepted: 1 } },
    ])
    expect(clock.now()).toBe(NOW + 2 * WRITE_EVERY_MS)
  })

  it('and written once more at the end', async () => {
    const { write, minutes, deliver } = rig()
    deliver('accepted')
    await minutes.stop()
    expect(write).toHaveBeenCalledWith([{ at: NOW, counts: { accepted: 1 } }])
    deliver('accepted')
    await minutes.stop()
    expect(write).toHaveBeenCalledTimes(1)
  })
})
