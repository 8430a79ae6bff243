import { expect, it, onTestFinished } from 'vitest'
import { createEvents } from '../../src/events.ts'
import type { OperatorPause } from '../../src/inbox/inbox.ts'
import { createPauseWatch, TELL_AGAIN_MS } from '../../src/worker/watch-pause.ts'
import { createManualClock } from '../support/manual-clock.ts'

const LOOK_EVERY_MS = 1_500

it('tells when a pause begins, again while it lasts, and when it ends', async () => {
  const clock = createManualClock()
  const events = createEvents()
  const told: unknown[] = []
  events.on('operatorPaused', (pause) => told.push(pause))
  events.on('operatorResumed', (end) => told.push(end))
  let pause: OperatorPause | null = null
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const queue = {
    operatorPause: () => pause,
  }
  const watch = createPauseWatch({ queue, clock, events })
  void watch.start(stopping.signal)
  const look = async (ms = LOOK_EVERY_MS) => {
    await clock.sleeping(LOOK_EVERY_MS)
    clock.advance(ms)
    await clock.sleeping(LOOK_EVERY_MS)
    return told.splice(0)
  }

  expect(await look()).toEqual([])
  const since = clock.now()
  pause = { since, reason: 'upgrade' }
  expect(await look()).toEqual([{ since, reason: 'upgrade', isNew: true }])
  expect(watch.pause).toEqual(pause)
  expect(await look()).toEqual([])
  expect(await look(TELL_AGAIN_MS)).toEqual([{ since, reason: 'upgrade', isNew: false }])
  expect(await look()).toEqual([])
  pause = { since, reason: 'longer' }
  expect(await look()).toEqual([{ since, reason: 'longer', isNew: true }])
  pause = null
  const [end] = await look()
  expect(end).toEqual({ ms: clock.now() - since })
  expect(await look()).toEqual([])
})
