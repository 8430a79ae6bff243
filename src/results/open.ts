import { createFileResults } from './file.ts'
import type { Results } from './results.ts'

/** The store that RESULTS_URL names. */
export function openResults(results: { kind: 'file'; path: string }, options: { minFree: number }): Results {
  return createFileResults({ root: results.path, minFree: options.minFree })
}
