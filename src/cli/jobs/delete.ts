import { eraseJobs } from '../../operations/erase.ts'
import type { Run } from '../command.ts'
import { openForOperator } from '../open.ts'
import { showProgress } from '../progress.ts'
import { jobsDelete } from '../spec/jobs.ts'
import { bulkOf, reportBulk } from './bulk.ts'

const WORDS = {
  did: 'erased: result, metadata and bodies',
  would: 'would be erased: result, metadata and bodies',
}

/** `jobs delete ID… | --metadata …`. */
export const runDelete: Run<typeof jobsDelete> = async ({ args, values }) => {
  const progress = showProgress(process.stderr)
  const bulk = bulkOf(jobsDelete, args, values, progress)
  await using operator = await openForOperator()
  const result = await eraseJobs(operator, bulk, new AbortController().signal).finally(progress.end)
  return reportBulk(result, values, WORDS)
}
