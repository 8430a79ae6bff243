import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../src/inbox/inbox.ts'
import { createReceiver } from '../../src/receive/receive.ts'
import { newSecret } from '../../src/signing.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { signed } from '../support/service.ts'

function openReceiver() {
  const secret = newSecret()
  const recorded: Delivery[] = []
  const events = createEvents()
  const reported: Events['delivery'][0][] = []
  events.on('delivery', (delivery) => reported.push(delivery))
  const receiver = createReceiver({
    endpoints: new Map([['default', [secret]]]),
    directToken: null,
    inbox: {
      async accept(delivery) {
        recorded.push(delivery)
        return { duplicate: false, requeued: false, job: delivery.content.is === 'job' ? 'queued' : null }
      },
    },
    clock: createManualClock(),
    events,
  })
  const receive = (body: string) => receiver.endpoint('default')!.check(signed(secret, body)).receive(Buffer.from(body))
  return { receive, recorded, reported }
}

describe('a body that concerns no job', () => {
  it.each([
    ['ignored', JSON.stringify({ note: 'ä'.repeat(10_000) })],
    ['rejected', 'ä'.repeat(10_000)],
  ])('is kept in its first 4 KiB when it is %s', async (_is, body) => {
    const { receive, recorded } = openReceiver()
    await receive(body)
    expect(Buffer.byteLength(recorded[0]!.body)).toBeLessThanOrEqual(4 * 1024 + 2)
    expect(recorded[0]!.body.length).toBeGreaterThan(2_000)
    expect(body.startsWith(recorded[0]!.body.slice(0, 1_000))).toBe(true)
  })

  it('does not make a job update shorter', async () => {
    const { receive, recorded } = openReceiver()
    const body = JSON.stringify({ job_id: 'a', status: 'Completed', metadata: 'x'.repeat(10_000) })
    await receive(body)
    expect(recorded[0]!.body).toBe(body)
  })

  it.each([
    ['{"success":true}', undefined],
    ['\uFEFF{"success":true}', undefined],
    ['{"event_type":"ping","data":{"success":true}}', undefined],
    ['{"success":false}', true],
    ['{"jobId":"a","status":"Completed"}', true],
    ['{"data":{"jobId":"a"}}', true],
    ['{"data":null}', true],
    ['{"job_id":"a","status":"Completed"}', undefined],
  ])('%s is reported as unexpected: %s', async (body, unexpected) => {
    const { receive, reported } = openReceiver()
    await receive(body)
    expect(reported[0]!.unexpected).toBe(unexpected)
  })
})
