import { createFileResults } from './file.ts'
import type { Results } from './results.ts'
import type { S3Options } from './s3.ts'

export type ResultsChoice = { readonly kind: 'file'; readonly path: string } | ({ readonly kind: 's3' } & S3Options)

export type OpenResultsOptions = {
  readonly minFree: number
  /**
   * 16 hex digits that identify the owner of drafts: the same for all processes that share an inbox, and for no others.
   * Without it a process recognises only its own drafts, and those of a killed process remain for a day.
   */
  readonly owner?: string
  readonly onWarning?: (message: string) => void
}

/** Opens the store that RESULTS_URL names. */
export async function openResults(choice: ResultsChoice, options: OpenResultsOptions): Promise<Results> {
  if (choice.kind === 'file') return createFileResults({ root: choice.path, ...options })
  // Loaded on demand: the AWS SDK is larger than this whole service.
  const { createS3Results } = await import('./s3.ts')
  return createS3Results(choice, options)
}
