import type { Clock } from '../clock.ts'

/**
 * What the services that work on one inbox know of each other. A store for one service alone has one, and promises the same.
 */
export interface Fleet {
  /** The one time of all of them: the machine's, or that of a database that they share. */
  readonly clock: Clock
  /** Those that live, as far as is known; empty for a store that knows of none. */
  replicas(): Promise<readonly Replica[]>
  /**
   * Does `work` unless a living service does this task already; returns whether it did. `signal` aborts when this service may
   * be taken for dead: it must stop before another begins.
   */
  exclusively(task: string, work: (signal: AbortSignal) => Promise<void>): Promise<boolean>
}

/** A service among those that work on one inbox. */
export type Replica = {
  readonly id: number
  /** Its machine and process, for people. */
  readonly name: string
  readonly version: string
  readonly startedAt: number
  /** By the name of a setting that all must share: a digest of its value. */
  readonly settings: Readonly<Record<string, string>>
  /** The id of the folder where it keeps results; null for a bucket. */
  readonly results: string | null
  /** 0: it only receives. */
  readonly concurrency: number
  /** How long it has not been heard of, ms. */
  readonly silentFor: number
}

/** What a service tells the others of itself. */
export type About = Pick<Replica, 'version' | 'settings' | 'results' | 'concurrency'>

/** `exclusively` where there is one service: a task is not begun twice. */
export function createLocalDuties(): Fleet['exclusively'] {
  const running = new Set<string>()
  return async (task, work) => {
    if (running.has(task)) return false
    running.add(task)
    try {
      await work(new AbortController().signal)
      return true
    } finally {
      running.delete(task)
    }
  }
}
