import { describe, expect, it, onTestFinished } from 'vitest'
import {
  LOOK_EVERY_MS,
  TELL_AGAIN_MS,
  type Trouble,
  type Waiting,
  watchDegradations,
} from '../../src/telemetry/degradations.ts'
import { createEvents, type Degraded, type Events } from '../../src/telemetry/events.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { watchPayloads } from '../../src/telemetry/unexpected.ts'
import { createManualClock } from '../support/manual-clock.ts'

const scrub = createScrub([])
const trouble = (name: Degraded, message = `${name} is wrong`): Trouble => ({ name, message: scrub(message) })

function rig(count: () => Promise<Waiting> = async () => ({ waiting: 3, oldest: 1_000 })) {
  const clock = createManualClock(Date.parse('2026-01-02T00:00:00Z'))
  const events = createEvents()
  const told: string[] = []
  let last: Events['degraded'][0] | null = null
  events.on('degraded', (one) => {
    last = one
    told.push(`${one.repeated ? 'still' : 'begins'} ${one.name}`)
  })
  events.on('recovered', ({ name, ms }) => told.push(`over ${name} after ${ms}`))
  let now: Trouble[] = []
  const watch = watchDegradations({ look: () => now, count, clock, events })
  onTestFinished(() => watch.stop())
  return {
    watch,
    told,
    last: () => last,
    set(...troubles: Trouble[]) {
      now = troubles
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

describe('what is wrong behind the inbox', () => {
  it('is told when it begins, every ten minutes while it lasts, and when it is over', async () => {
    const on = rig()
    await on.pass(LOOK_EVERY_MS)
    on.set(trouble('disk'))
    await on.pass(LOOK_EVERY_MS)
    expect(on.told).toEqual(['begins disk'])
    await on.pass(TELL_AGAIN_MS)
    expect(on.told).toEqual(['begins disk', 'still disk'])
    expect(on.last()).toMatchObject({ waiting: 3, oldest: 1_000, since: Date.parse('2026-01-02T00:00:10Z') })
    await on.pass(TELL_AGAIN_MS)
    expect(on.told.at(-1)).toBe('still disk')
    on.set()
    await on.pass(LOOK_EVERY_MS)
    expect(on.told.slice(3)).toEqual([`over disk after ${2 * TELL_AGAIN_MS + LOOK_EVERY_MS}`])
    await on.pass(TELL_AGAIN_MS)
    expect(on.told).toHaveLength(4)
  })

  it('shows at once, before the next look, with its latest message and since when it has been', async () => {
    const on = rig()
    on.set(trouble('handler', 'five calls failed'))
    expect(on.watch.current()).toMatchObject([{ name: 'handler', message: 'five calls failed' }])
    const { since } = on.watch.current()[0]!
    await on.pass(60_000)
    on.set(trouble('handler', 'six calls failed'), trouble('disk'))
    expect(on.watch.current()).toMatchObject([
      { name: 'handler', message: 'six calls failed', since, waiting: 3 },
      { name: 'disk', waiting: 3 },
    ])
    on.set()
    expect(on.watch.current()).toEqual([])
  })

  it('asks the inbox only while something is wrong, and never twice at once', async () => {
    let asked = 0
    const answer = Promise.withResolvers<Waiting>()
    const on = rig(() => {
      asked++
      return answer.promise
    })
    await on.pass(60_000)
    expect(asked).toBe(0)
    on.set(trouble('disk'))
    await on.pass(60_000)
    expect(asked).toBe(1)
    expect(on.watch.current()).toEqual([{ ...trouble('disk'), since: expect.any(Number) }])
    answer.resolve({ waiting: 9, oldest: null })
    await answer.promise
    await on.pass(60_000)
    expect(asked).toBeGreaterThan(1)
    expect(on.watch.current()).toMatchObject([{ waiting: 9, oldest: null }])
  })

  it('is told without a number when one is asked for and does not come', async () => {
    let asked = 0
    const on = rig(() => (asked++ === 0 ? Promise.resolve({ waiting: 9, oldest: 1_000 }) : new Promise(() => {})))
    on.set(trouble('disk'))
    await on.pass(LOOK_EVERY_MS)
    expect(on.watch.current()).toMatchObject([{ waiting: 9 }])
    await on.pass(TELL_AGAIN_MS)
    expect(asked).toBe(2)
    expect(on.watch.current()[0]).not.toHaveProperty('waiting')
    expect(on.last()).not.toHaveProperty('waiting')
  })

  it('is told without a number when the inbox cannot be read', async () => {
    const on = rig(() => Promise.reject(new Error('disk I/O error')))
    on.set(trouble('disk'))
    await on.pass(TELL_AGAIN_MS + LOOK_EVERY_MS)
    expect(on.told).toEqual(['begins disk', 'still disk'])
    expect(on.last()).not.toHaveProperty('waiting')
  })

  it('is told no more once the watch has stopped', async () => {
    const on = rig()
    on.watch.stop()
    on.set(trouble('disk'))
    await Promise.resolve()
    expect(on.told).toEqual([])
  })
})

describe('signed deliveries that are not understood', () => {
  const delivery = { endpoint: 'default', svixId: 'msg_1', jobId: null, status: null, ms: 1 }

  it('are a trouble when three come in a row, until one is understood', () => {
    const events = createEvents()
    const look = watchPayloads(events)
    const ignored = (unexpected?: true) =>
      events.emit('delivery', { ...delivery, outcome: 'ignored', ...(unexpected ? { unexpected } : {}) })
    ignored(true)
    events.emit('delivery', { ...delivery, outcome: 'invalid' })
    ignored()
    expect(look()).toBeNull()
    ignored(true)
    expect(look()).toContain('the last 3 signed deliveries')
    ignored()
    expect(look()).not.toBeNull()
    events.emit('delivery', { ...delivery, outcome: 'accepted' })
    expect(look()).toBeNull()
  })
})
