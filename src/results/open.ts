import { createFileResults } from './file.ts'
import type { Results } from './results.ts'
import type { S3Options } from './s3.ts'

export type ResultsChoice = { readonly kind: 'file'; readonly path: string } | ({ readonly kind: 's3' } & S3Options)

export type OpenResultsOptions = {
  readonly minFree: number
  /**
   * 16 hex digits: whose drafts these are. The same for all processes that share an inbox, and for no others; without it
   * a process knows only its own, and what a killed one left waits for a day.
   */
  readonly owner?: string
  readonly onWarning?: (message: string) => void
}

/** The store that RESULTS_URL names. */
export async function openResults(choice: ResultsChoice, options: OpenResultsOptions): Promise<Results> {
  if (choice.kind === 'file') return createFileResults({ root: choice.path, ...options })
  // Loaded when it is used: the AWS SDK is larger than all of this service.
  const { createS3Results } = await import('./s3.ts')
  return createS3Results(choice, options)
}
