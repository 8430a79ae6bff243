import type { Client } from './client.ts'
import { ReductoError } from './errors.ts'
import { createListJobs } from './list-jobs.ts'

/**
 * Checks the key with the smallest call there is. True or false when Reducto says so; null when the answer says nothing
 * about the key (network, overload, a proxy's answer).
 */
export type ProbeAccount = (signal: AbortSignal) => Promise<boolean | null>

/** Client-error statuses that may be sent before the key is checked. */
const SAYS_NOTHING: ReadonlySet<number> = new Set([407, 408, 425, 429])

export function createProbeAccount(client: Client, now: () => number): ProbeAccount {
  const listJobs = createListJobs(client, now)
  return async (signal) => {
    try {
      await listJobs({ limit: 1 }, signal)
      return true
    } catch (error) {
      if (!(error instanceof ReductoError)) throw error
      const { kind, status } = error
      if (kind === 'denied') return false
      return status !== null && status >= 400 && status < 500 && !SAYS_NOTHING.has(status) ? true : null
    }
  }
}
