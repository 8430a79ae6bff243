import { eraseJobs } from '../../operations/erase.ts'
import type { Run } from '../command.ts'
import { openForOperator } from '../open.ts'
import { counted } from '../output.ts'
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
  const deliveries = result.is === 'done' ? result.deliveries : 0
  const bodies = counted(deliveries, 'delivery', 'deliveries')
  const line = `${bodies} that concerned no job: the body ${values['dry-run'] ? 'would be' : 'was'} erased too`
  return reportBulk(result, values, WORDS, { deliveries }, { count: deliveries, line })
}
