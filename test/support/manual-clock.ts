import type { Clock } from '../../src/clock.ts'

type Sleeper = { readonly at: number; readonly ms: number; wake(): void }

/** Time that stands still until it is told to move. */
export type ManualClock = Clock & {
  /** Moves time on and wakes who has slept enough. */
  advance(ms: number): void
  /** The wall clock jumps, as clocks do; nobody wakes of it. */
  jump(ms: number): void
  /** Resolves when somebody sleeps for `ms`. */
  sleeping(ms: number): Promise<void>
  /** How many sleep. */
  readonly asleep: number
  /** Resolves when so many sleep. */
  untilAsleep(count: number): Promise<void>
}

export function createManualClock(start = Date.now()): ManualClock {
  let wall = start
  let elapsed = 0
  let sleepers: Sleeper[] = []
  let watchers: { matches(slept: Sleeper): boolean; resolve(): void }[] = []

  function watch(matches: (slept: Sleeper) => boolean): Promise<void> {
    return new Promise((resolve) => watchers.push({ matches, resolve }))
  }

  return {
    now: () => wall,
    monotonic: () => elapsed,
    sleep(ms, signal) {
      if (ms <= 0 || signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          sleepers = sleepers.filter((one) => one !== sleeper)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const sleeper = { at: elapsed + ms, ms, wake }
        sleepers.push(sleeper)
        signal.addEventListener('abort', wake)
        const [waiting, awaited] = [watchers, watchers.filter((one) => one.matches(sleeper))]
        watchers = waiting.filter((one) => !awaited.includes(one))
        for (const watcher of awaited) watcher.resolve()
      })
    },
    advance(ms) {
      elapsed += ms
      wall += ms
      for (const sleeper of sleepers.filter(({ at }) => at <= elapsed)) sleeper.wake()
    },
    jump(ms) {
      wall += ms
    },
    sleeping(ms) {
      if (sleepers.some((one) => one.ms === ms)) return Promise.resolve()
      return watch((slept) => slept.ms === ms)
    },
    get asleep() {
      return sleepers.length
    },
    untilAsleep(count) {
      return sleepers.length >= count ? Promise.resolve() : watch(() => sleepers.length >= count)
    },
  }
}
