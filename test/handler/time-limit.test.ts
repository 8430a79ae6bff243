import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TimeoutError, withTimeout } from '../../src/handler/time-limit.ts'

/** A minute: longer than any test. */
const LONG = 60_000
const never = () => new Promise<never>(() => {})
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** How many of the objects are still there after a collection. */
async function surviving(made: readonly WeakRef<object>[]): Promise<number> {
  // A turn of its own: what was dereferenced in this one stays until its end.
  await new Promise(setImmediate)
  collect()
  // What a frame of the engine still held the first time is free in a later turn.
  await new Promise(setImmediate)
  collect()
  return made.filter((one) => one.deref() !== undefined).length
}

describe('a call with a time limit', () => {
  const service = new AbortController().signal

  it('gives what the call gives, and throws what it throws, at once or later', async () => {
    expect(await withTimeout(LONG, service, async () => 7)).toBe(7)
    const thrown = new Error('no')
    await expect(withTimeout(LONG, service, () => Promise.reject(thrown))).rejects.toBe(thrown)
    await expect(
      withTimeout(LONG, service, () => {
        throw thrown
      }),
    ).rejects.toBe(thrown)
  })

  it('ends when the time is over, and tells the call', async () => {
    let told: AbortSignal | null = null
    const call = withTimeout(10, service, (signal) => {
      told = signal
      return never()
    })
    await expect(call).rejects.toBeInstanceOf(TimeoutError)
    expect(told!.aborted).toBe(true)
  })

  it('ends when the service stops, and does not begin when it has stopped', async () => {
    const stopping = new AbortController()
    let told: AbortSignal | null = null
    const call = withTimeout(LONG, stopping.signal, (signal) => {
      told = signal
      return never()
    })
    stopping.abort()
    await expect(call).rejects.toBeInstanceOf(TimeoutError)
    expect(told!.aborted).toBe(true)
    let begun = false
    await expect(
      withTimeout(LONG, stopping.signal, async () => {
        begun = true
      }),
    ).rejects.toBeInstanceOf(TimeoutError)
    expect(begun).toBe(false)
  })

  it('takes no notice of a call that fails after its time', async () => {
    const call = Promise.withResolvers<void>()
    await expect(withTimeout(5, service, () => call.promise)).rejects.toBeInstanceOf(TimeoutError)
    call.reject(new Error('late'))
    await new Promise(setImmediate)
  })

  it('waits as long as it is told, also where Node has no timers that long', async () => {
    expect(await withTimeout(2 ** 40, service, () => new Promise((resolve) => setTimeout(resolve, 5, 'in time')))).toBe(
      'in time',
    )
  })

  it.each([
    ['returns', async () => {}, LONG],
    ['fails', () => Promise.reject(new Error('no')), LONG],
    [
      'throws',
      () => {
        throw new Error('no')
      },
      LONG,
    ],
    ['takes too long', never, 1],
  ])('leaves nothing behind when the call %s', async (_, run, ms) => {
    const made: WeakRef<object>[] = []
    // One that listens to its signal, as all do that pass it on.
    const listening = (signal: AbortSignal): Promise<void> => {
      signal.addEventListener('abort', () => {})
      made.push(new WeakRef(signal))
      return run()
    }
    await Promise.all(Array.from({ length: 500 }, () => withTimeout(ms, service, listening).catch(() => {})))
    expect(listeners(service)).toBe(0)
    expect(made).toHaveLength(500)
    expect(await surviving(made)).toBe(0)
  })

  it('leaves nothing of its own behind with a call that never ends and is not forgotten by its owner', async () => {
    const hung: Promise<void>[] = []
    const made: WeakRef<object>[] = []
    const one = async () => {
      const call = withTimeout(1, service, (signal) => {
        made.push(new WeakRef(signal))
        const promise = never()
        hung.push(promise)
        return promise
      })
      await call.catch((error) => made.push(new WeakRef(error)))
    }
    await Promise.all(Array.from({ length: 200 }, one))
    expect(listeners(service)).toBe(0)
    expect(made).toHaveLength(400)
    expect(await surviving(made)).toBe(0)
    expect(hung).toHaveLength(200)
  })
})
