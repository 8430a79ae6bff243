import { retryJobs } from '../../operations/retry.ts'
import type { Run } from '../command.ts'
import { openForOperator } from '../open.ts'
import { showProgress } from '../progress.ts'
import { tellService } from '../running.ts'
import { jobsRetry } from '../spec/jobs.ts'
import { durationOf } from '../values.ts'
import { bulkOf, reportBulk } from './bulk.ts'
import { waitForJobs } from './wait.ts'

/** `jobs retry ID… | --state …`. */
export const runRetry: Run<typeof jobsRetry> = async ({ args, values }) => {
  const progress = showProgress(process.stderr)
  const bulk = bulkOf(jobsRetry, args, values, progress)
  durationOf('timeout', values.timeout)
  await using operator = await openForOperator()
  const result = await retryJobs(operator, { ...bulk, refetch: values.refetch }).finally(progress.end)
  const code = reportBulk(result, values, { did: 'will be queued again', would: 'would be queued again' })
  if (result.is !== 'done' || result.dryRun || result.jobs === 0) return code
  await tellService(operator)
  return values.wait ? Math.max(code, await waitForJobs(operator, result.ids, values.timeout, progress)) : code
}
