import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { FIRST_PRUNE_MS } from '../../src/worker/retention.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery, type TestService, testService } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** A stop ends within SHUTDOWN_GRACE, or 2 s when that is shorter, whatever hangs. */

const MIN_STOP_MS = 2_000
/** For the test itself on a busy machine, ms. */
const SLACK_MS = 1_500

const hang = () => new Promise<never>(() => {})

/** Takes away what ends, until the test is over: then what was opened is closed. */
function hangs<T, K extends keyof T>(of: T, ...names: K[]): void {
  for (const name of names) {
    const real = of[name]
    of[name] = hang as T[K]
    onTestFinished(async () => {
      of[name] = real
      if (name === 'close') await (real as () => Promise<void>).call(of)
    })
  }
}

async function timeOfStop(on: TestService): Promise<number> {
  const began = performance.now()
  await on.stop()
  return performance.now() - began
}

/** A job that is being worked on, and what it has reached. */
async function working(on: TestService, reached: (jobId: string) => Promise<unknown>): Promise<void> {
  const jobId = on.reducto.addJob()
  const there = reached(jobId)
  await on.inbox.accept(delivery(jobId))
  await there
}

/** A handler of which nobody hears again, and what resolves when it is called. */
function deafHandler(): { file: string; called: Promise<void> } {
  const called = Promise.withResolvers<void>()
  const name = `called${Math.random().toString(36).slice(2)}`
  const hooks = globalThis as unknown as Record<string, () => void>
  hooks[name] = called.resolve
  onTestFinished(() => void delete hooks[name])
  const file = join(tempFolder(), 'handler.mjs')
  writeFileSync(file, `export default () => { globalThis.${name}(); return new Promise(() => {}) }`)
  return { file, called: called.promise }
}

/** What hangs, and a service in which it does. */
const HANGING: Readonly<Record<string, () => Promise<TestService>>> = {
  async 'the note that it was asked for'() {
    const on = await testService({ store: 'memory' })
    hangs(on.inbox, 'stopAsked')
    return on
  },
  async 'the close of the inbox'() {
    const on = await testService({ store: 'memory' })
    hangs(on.inbox, 'close')
    return on
  },
  async 'whatever is written to the inbox'() {
    const on = await testService({ store: 'sqlite' })
    const claimed = Promise.withResolvers<void>()
    hangs(on.inbox, 'stopAsked', 'settle', 'close')
    on.events.on('started', () => claimed.resolve())
    await working(on, () => claimed.promise)
    return on
  },
  async retention() {
    const clock = createManualClock()
    const on = await testService({ clock, store: 'memory' })
    const pruned = Promise.withResolvers<void>()
    on.inbox.prune = () => {
      pruned.resolve()
      return hang()
    }
    await clock.sleeping(FIRST_PRUNE_MS)
    clock.advance(FIRST_PRUNE_MS)
    await pruned.promise
    return on
  },
  async 'the store of results, deaf to its signal'() {
    const on = await testService({ store: 'memory' })
    await working(on, () => {
      const looked = Promise.withResolvers<void>()
      on.results.record = () => {
        looked.resolve()
        return hang()
      }
      return looked.promise
    })
    return on
  },
  async 'Reducto in the middle of an answer'() {
    const on = await testService({ store: 'memory' })
    await working(on, (jobId) => {
      on.reducto.fail(jobId, { is: 'stall' })
      return on.reducto.nextFetch(jobId)
    })
    return on
  },
  async 'a download'() {
    const on = await testService({ store: 'memory' })
    await working(on, (jobId) => {
      on.reducto.storage.fail(`${jobId}/figure.png`, 'hang')
      return on.reducto.storage.nextDownload(`${jobId}/figure.png`)
    })
    return on
  },
  async 'the handler, deaf to its signal'() {
    const { file, called } = deafHandler()
    const on = await testService({ env: { HANDLER: file }, store: 'memory' })
    await working(on, () => called)
    return on
  },
}

it('ends within 2 s without a grace, whatever hangs', async () => {
  const services: [what: string, on: TestService][] = []
  for (const [what, start] of Object.entries(HANGING)) services.push([what, await start()])
  // All at once: each takes its two seconds.
  const stops = services.map(async ([what, on]) => ({ what, took: await timeOfStop(on) }))
  for (const { what, took } of await Promise.all(stops))
    expect.soft(took, `when what hangs is ${what}`).toBeLessThan(MIN_STOP_MS + SLACK_MS)
})

it('takes as long as the grace where that is longer, and no longer', async () => {
  const grace = MIN_STOP_MS + 200
  const on = await testService({ env: { SHUTDOWN_GRACE: `${grace}ms` }, store: 'memory' })
  hangs(on.inbox, 'close')
  const took = await timeOfStop(on)
  // Timers may fire a moment early.
  expect(took).toBeGreaterThan(grace - 10)
  expect(took).toBeLessThan(grace + SLACK_MS)
})

it('ends at once when nothing hangs', async () => {
  expect(await timeOfStop(await testService({ store: 'sqlite' }))).toBeLessThan(MIN_STOP_MS)
})
