import { describe, expect, it } from 'vitest'
import type { DeliveryRow } from '../../src/inbox/inbox.ts'
import { type TimelineModel, timelineOf } from '../../src/operator/timeline.ts'
import type { CleanText } from '../../src/telemetry/scrub.ts'

type Attempt = TimelineModel['attempts'][number]

const failed = (startedAt: number, message = 'connect ECONNREFUSED', round = 1): Attempt =>
  ({
    ...{ startedAt, ms: 10, task: 'hand_over', outcome: 'retry', round, savedStatus: null, type: null },
    reason: { code: 'handler', message: message as CleanText },
  }) as Attempt

const DELIVERY: DeliveryRow = {
  svixId: 'msg_1',
  endpoint: 'default',
  disposition: 'job',
  status: 'Completed',
  receivedAt: 100,
  lastAt: 100,
  arrivals: 1,
}

const line = (model: Partial<TimelineModel>) =>
  timelineOf({ deliveries: [], attempts: [], actions: [], hasHandler: true, ...model }).map(
    ({ title, times, since, at }) => [title, times, since, at],
  )

describe('the timeline', () => {
  it('is the latest first, of deliveries, repeats, people and attempts', () => {
    const titles = line({
      deliveries: [{ ...DELIVERY, arrivals: 3, lastAt: 900 }],
      attempts: [{ ...failed(200), outcome: 'done', reason: null }],
      actions: [{ at: 500, who: 'ada', what: 'replay' }],
    }).map(([title]) => title)
    expect(titles).toEqual(['Arrived again', 'Handed over again', 'Taken by your handler', 'Delivery'])
  })

  it('equal failures in a row are one entry, with how many and since when', () => {
    expect(line({ attempts: [failed(300), failed(200), failed(100)] })).toEqual([['Hand over failed', 3, 110, 310]])
  })

  it('other words, another round or something in between begins a new one', () => {
    expect(line({ attempts: [failed(300), failed(200, 'deadlock'), failed(100)] })).toHaveLength(3)
    expect(line({ attempts: [failed(300, 'x', 2), failed(200, 'x', 1)] })).toHaveLength(2)
    const again = { at: 250, who: 'ada', what: 'retry' }
    expect(line({ attempts: [failed(300), failed(200)], actions: [again] })).toHaveLength(3)
  })

  it('deaths are never folded', () => {
    const dead = (at: number) => ({ ...failed(at), outcome: 'dead' })
    expect(line({ attempts: [dead(300), dead(200)] })).toHaveLength(2)
  })
})
