import { replayJobs } from '../../operations/replay.ts'
import { loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import type { Run } from '../command.ts'
import { openForOperator } from '../open.ts'
import { printError } from '../output.ts'
import { showProgress } from '../progress.ts'
import { tellService } from '../running.ts'
import { jobsReplay } from '../spec/jobs.ts'
import { durationOf } from '../values.ts'
import { bulkOf, reportBulk } from './bulk.ts'
import { waitForJobs } from './wait.ts'

/** `jobs replay ID… | --state …`. */
export const runReplay: Run<typeof jobsReplay> = async ({ args, values }) => {
  const progress = showProgress(process.stderr)
  const bulk = bulkOf(jobsReplay, args, values, progress)
  durationOf('timeout', values.timeout)
  const hasHandler = loadConfig(environment(), ['handler']).handler !== null
  await using operator = await openForOperator()
  const { signal } = new AbortController()
  const result = await replayJobs({ ...operator, hasHandler }, bulk, signal).finally(progress.end)
  const more = result.is === 'done' ? { unsaved: result.unsaved } : {}
  const code = reportBulk(
    result,
    values,
    { did: 'will be handed over again', would: 'would be handed over again' },
    more,
  )
  if (result.is !== 'done') return code
  if (result.unsaved > 0)
    printError(`${result.unsaved} have no saved result any more: jobs retry --refetch fetches them anew`)
  if (result.dryRun || result.jobs === 0) return code
  await tellService(operator)
  return values.wait ? Math.max(code, await waitForJobs(operator, result.ids, values.timeout, progress)) : code
}
