import pino from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startAlerts } from '../../src/alerts/open.ts'
import { FINISH_MS, MAX_WAITING, RETRY_FOR_MS } from '../../src/alerts/outbox.ts'
import { GATHER_MS, LOOK_EVERY_MS } from '../../src/alerts/watch.ts'
import type { CleanReason } from '../../src/job.ts'
import { newSecret } from '../../src/signing.ts'
import { createEvents, type Degraded } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { alertReceiver } from './support.ts'

const scrub = createScrub([])

type Answer = Parameters<typeof alertReceiver>[1]

async function rig({ answer, url }: { answer?: Answer; url?: string } = {}) {
  const secret = newSecret()
  const receiver = await alertReceiver(secret, answer)
  const clock = createManualClock()
  const events = createEvents()
  const lines: Record<string, unknown>[] = []
  const given = Promise.withResolvers<void>()
  const log = pino({ level: 'info' }, { write: noted })
  function noted(text: string): void {
    const line = JSON.parse(text)
    lines.push(line)
    if (line.msg === 'alert not delivered') given.resolve()
  }
  let refusing = false
  const alerts = startAlerts(
    { url: url ?? receiver.url, secrets: [secret] },
    // The svix library has the time of this machine.
    {
      events,
      clock: { ...clock, now: Date.now },
      log,
      scrub,
      service: 'https://r.example',
      fetch,
      isRefusing: () => refusing,
    },
  )
  onTestFinished(() => stop({ hangs: true }))

  async function stop({ hangs = false } = {}): Promise<void> {
    const stopped = alerts.stop()
    if (hangs) await Promise.race([stopped, clock.sleeping(FINISH_MS)])
    if (hangs) clock.advance(FINISH_MS)
    await stopped
  }

  return {
    ...receiver,
    clock,
    lines,
    /** Resolves when an alert is given up. */
    given: given.promise,
    stop,
    refuse(on: boolean) {
      refusing = on
    },
    dies(jobId: string, code = 'handler', message = 'it failed') {
      const reason: CleanReason = { code, message: scrub(message) }
      const rest = { stage: 'fetch', attempt: 1, dueAt: 0, ms: 1, calls: 1, files: 0, bytes: 0 } as const
      const outcome = { is: 'gave_up', reason } as never
      events.emit('settled', { jobId, state: 'dead', outcome, type: null, sinceDelivery: null, ...rest })
    },
    degraded(name: Degraded, repeated = false) {
      events.emit('degraded', { name, message: scrub(`${name} is wrong`), since: clock.now(), repeated })
    },
    recovered(name: Degraded) {
      events.emit('recovered', { name, ms: 61_400 })
    },
    /** Lets so much time go by, look by look. */
    async pass(ms: number) {
      for (let gone = 0; gone < ms; gone += LOOK_EVERY_MS) {
        await clock.sleeping(LOOK_EVERY_MS)
        clock.advance(LOOK_EVERY_MS)
      }
      await clock.sleeping(LOOK_EVERY_MS)
    },
  }
}

describe('what is told', () => {
  it('is a dead job at once, and others of its cause together', async () => {
    const on = await rig()
    on.dies('job-1', 'handler', 'the handler failed')
    await on.arrived(1)
    for (let n = 2; n <= 40; n += 1) on.dies(`job-${n}`)
    on.dies('other', 'no_result', 'nothing there')
    await on.arrived(2)
    await on.pass(GATHER_MS)
    const [first, second, third] = (await on.arrived(3)).map(({ body }) => body)
    expect(first).toEqual({
      type: 'jobs.dead',
      timestamp: expect.any(String),
      service: 'https://r.example',
      data: { code: 'handler', message: 'the handler failed', count: 1, job_ids: ['job-1'] },
    })
    expect(second).toMatchObject({ data: { code: 'no_result', count: 1 } })
    const ids = Array.from({ length: 20 }, (_, index) => `job-${index + 2}`)
    expect(third).toMatchObject({ type: 'jobs.dead', data: { code: 'handler', count: 39, job_ids: ids } })
  })

  it('is a problem’s beginning and its end, not that it lasts', async () => {
    const on = await rig()
    on.degraded('disk')
    await on.arrived(1)
    on.degraded('disk', true)
    on.recovered('disk')
    const bodies = (await on.arrived(2)).map(({ body }) => body)
    expect(bodies).toMatchObject([
      { type: 'degraded', data: { name: 'disk', message: 'disk is wrong', since: expect.stringMatching(/Z$/) } },
      { type: 'recovered', data: { name: 'disk', seconds: 61 } },
    ])
  })

  it('is that deliveries cannot be recorded, and that they can again', async () => {
    const on = await rig()
    on.refuse(true)
    await on.pass(LOOK_EVERY_MS)
    on.refuse(false)
    await on.pass(LOOK_EVERY_MS)
    expect((await on.arrived(2)).map(({ body }) => body.type)).toEqual(['not_accepting', 'accepting'])
  })

  it('is what is still gathered when the service stops', async () => {
    const on = await rig()
    on.dies('job-1')
    await on.arrived(1)
    on.dies('job-2')
    await on.stop()
    expect(on.arrivals.map(({ body }) => body.data)).toMatchObject([{ count: 1 }, { job_ids: ['job-2'] }])
    expect(on.lines).toEqual([])
  })
})

describe('an alert that is not taken', () => {
  it('is sent again under the same id, and those after it keep their order', async () => {
    const answers = [500, 503, 200, 200]
    const on = await rig({ answer: (_request, response) => void response.writeHead(answers.shift() ?? 200).end('no') })
    on.degraded('disk')
    on.dies('job-1')
    for (const count of [1, 2]) {
      await on.arrived(count)
      await on.clock.untilAsleep(2)
      on.clock.advance(600_000)
    }
    const arrived = await on.arrived(4)
    expect(new Set(arrived.slice(0, 3).map(({ id }) => id)).size).toBe(1)
    expect(arrived.map(({ body }) => body.type)).toEqual(['degraded', 'degraded', 'degraded', 'jobs.dead'])
    expect(on.lines).toMatchObject([{ msg: 'alert delayed', reason: 'ALERT_URL answered 500: no' }])
  })

  it('is given up after an hour, and the log tells which', async () => {
    const on = await rig({ answer: (_request, response) => void response.writeHead(302, { location: '/' }).end() })
    on.dies('job-1', 'no_result')
    for (let count = 1; count <= RETRY_FOR_MS / 600_000; count += 1) {
      await on.arrived(count)
      await Promise.race([on.given, on.clock.untilAsleep(2)])
      on.clock.advance(600_000)
    }
    await on.given
    expect(on.lines.at(-1)).toMatchObject({
      msg: 'alert not delivered',
      alert: 'jobs.dead',
      code: 'no_result',
      count: 1,
      reason: 'ALERT_URL answered 302',
    })
  })

  it('does not let others pile up without end', async () => {
    const on = await rig({ answer: () => {} })
    on.degraded('disk')
    await on.arrived(1)
    for (let n = 0; n < MAX_WAITING + 5; n += 1) on.dies(`job-${n}`, `code-${n}`)
    const given = on.lines.filter(({ msg }) => msg === 'alert not delivered')
    expect(given.map(({ code }) => code)).toEqual(['code-0', 'code-1', 'code-2', 'code-3', 'code-4', 'code-5'])
  })

  it('is forgotten with its end, when a problem is over before anybody heard of it', async () => {
    const held: (() => void)[] = []
    const on = await rig({ answer: (_request, response) => void held.push(() => response.end()) })
    on.dies('job-1')
    await on.arrived(1)
    on.degraded('disk')
    on.recovered('disk')
    on.degraded('results')
    held.shift()!()
    const [, next] = await on.arrived(2)
    expect(next!.body).toMatchObject({ type: 'degraded', data: { name: 'results' } })
    held.shift()!()
  })

  it('ends with a stop, even when the other side hangs', async () => {
    const on = await rig({ answer: () => {} })
    on.degraded('disk')
    await on.arrived(1)
    await on.stop({ hangs: true })
    expect(on.lines).toMatchObject([{ msg: 'alert not delivered', name: 'disk', reason: 'the service stops' }])
  })

  it.each([
    ['nobody listens', 'http://127.0.0.1:1/', /cannot be reached: .*(ECONNREFUSED|bad port)/],
    ['the name does not exist', 'http://nobody.invalid/', /cannot be reached: .*(ENOTFOUND|EAI_AGAIN)/],
  ])('says so when %s', async (_title, url, reason) => {
    const on = await rig({ url })
    on.degraded('disk')
    await on.clock.untilAsleep(2)
    expect(on.lines).toMatchObject([{ msg: 'alert delayed', reason: expect.stringMatching(reason) }])
  })
})
