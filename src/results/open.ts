import { createFileResults } from './file.ts'
import type { Results } from './results.ts'
import type { S3Options } from './s3.ts'

export type ResultsChoice = { readonly kind: 'file'; readonly path: string } | ({ readonly kind: 's3' } & S3Options)

/** The store that RESULTS_URL names. */
export async function openResults(choice: ResultsChoice, options: { readonly minFree: number }): Promise<Results> {
  if (choice.kind === 'file') return createFileResults({ root: choice.path, minFree: options.minFree })
  // Loaded when it is used: the AWS SDK is larger than all of this service.
  const { createS3Results } = await import('./s3.ts')
  return createS3Results(choice)
}
