import { reconcileListing } from '../reconcile/listing.ts'
import { createFetchJob } from '../reducto/fetch-job.ts'
import { createFetchStatus } from '../reducto/job-status.ts'
import { createListJobs } from '../reducto/list-jobs.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import type { Run } from './command.ts'
import { openForOperator } from './open.ts'
import { counted, print, printError, printJson } from './output.ts'
import { showProgress } from './progress.ts'
import { openReducto } from './reducto.ts'
import { tellService } from './running.ts'
import type { reconcile } from './spec/submit.ts'
import { timeOf } from './values.ts'

/** Ids that are named. */
const MAX_NAMED = 10

/** `reconcile`: queues what ended without a webhook. */
export const runReconcile: Run<typeof reconcile> = async ({ values }) => {
  const { all, 'dry-run': dryRun } = values
  const since = timeOf('since', values.since)
  const config = loadConfig(environment(), ['reducto', 'proxy'])
  await using operator = await openForOperator()
  await using reducto = openReducto(config)
  const progress = showProgress(process.stderr)
  const now = Date.now
  const result = await reconcileListing(
    {
      ...{ ledger: operator.ledger, listJobs: createListJobs(reducto.client, now) },
      fetchStatus: createFetchStatus(createFetchJob(reducto.client, now)),
      onRead: (read) => progress.say(`read ${counted(read, 'ended job')}`),
    },
    { since, all, dryRun },
    new AbortController().signal,
  ).finally(progress.end)
  const { queued, processing, unfinished, incomplete } = result
  if (values.json) printJson({ ...result, dryRun })
  else {
    const what = dryRun ? 'would be queued' : 'queued'
    print(`${counted(queued.length, 'job')} ended without a webhook and ${what}; ${processing} still processing\n`)
    name(queued)
    if (processing > 0) {
      print('Still processing at Reducto:\n')
      name(unfinished)
    }
  }
  if (incomplete !== null) printError(`Not all was seen: ${incomplete}`)
  if (queued.length > 0 && !dryRun) await tellService(operator)
  return incomplete === null ? 0 : 1
}

function name(jobIds: readonly string[]): void {
  for (const jobId of jobIds.slice(0, MAX_NAMED)) print(`  ${jobId}\n`)
  if (jobIds.length > MAX_NAMED) print(`  … and ${jobIds.length - MAX_NAMED} more\n`)
}
