import type { Cost } from './table.ts'

/** Requests that ask the inbox at once: its reader has one thread, and answers none sooner for being asked by more. */
const MAX_QUESTIONS = 4
/** Walks over all jobs at once. */
const MAX_BULK = 1

export type Places = {
  /** Does the work, or does not begin it when too much is under way: then null. */
  run<T>(cost: Cost, work: () => Promise<T>): Promise<T | null>
}

/** The bound of what operators ask at once. Nobody waits for a place: whoever gets none is told to come back. */
export function createPlaces(): Places {
  const max: Readonly<Record<Cost, number>> = {
    question: MAX_QUESTIONS,
    bulk: MAX_BULK,
    free: Number.POSITIVE_INFINITY,
  }
  const taken: Record<Cost, number> = { question: 0, bulk: 0, free: 0 }

  return {
    async run(cost, work) {
      if (taken[cost] >= max[cost]) return null
      taken[cost]++
      try {
        return await work()
      } finally {
        taken[cost]--
      }
    },
  }
}
