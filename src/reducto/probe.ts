import type { Client } from './client.ts'
import { readError } from './errors.ts'

/**
 * Asks whether the key is good, with the smallest call there is. True or false when Reducto says so; null when it says
 * nothing about it (network, overload).
 */
export type ProbeAccount = (signal: AbortSignal) => Promise<boolean | null>

export function createProbeAccount(client: Client, now: () => number): ProbeAccount {
  return async (signal) => {
    try {
      await client.sdk.job.getAll({ limit: 1 }, { signal: client.deadline(signal) })
      return true
    } catch (error) {
      const { kind, status } = readError(error, now())
      if (kind === 'denied') return false
      return status !== null && status < 500 && status !== 429 ? true : null
    }
  }
}
