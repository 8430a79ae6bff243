import { rereadDeliveries } from '../../operations/deliveries.ts'
import { type Run, WrongUse } from '../command.ts'
import { openForOperator } from '../open.ts'
import { counted, print, printError, printJson } from '../output.ts'
import { showProgress } from '../progress.ts'
import { tellService } from '../running.ts'
import { deliveriesRetry } from '../spec/deliveries.ts'
import { oneLine } from '../table.ts'
import { deliveryFilterOf } from './filter.ts'

/** `deliveries retry ID… | --disposition …`. */
export const runRetryDeliveries: Run<typeof deliveriesRetry> = async ({ args, values }) => {
  const filter = deliveryFilterOf(values)
  const hasFilter = Object.keys(filter).length > 0
  if (args.length === 0 && !hasFilter) throw new WrongUse(`deliveries retry takes ${deliveriesRetry.args}`)
  if (args.length > 0 && hasFilter)
    throw new WrongUse('deliveries retry takes either svix-ids or options that say which')
  await using operator = await openForOperator()
  const progress = showProgress(process.stderr)
  const which = args.length > 0 ? { ids: args } : { filter }
  const options = { dryRun: values['dry-run'], onSearched: progress.searched }
  const result = await rereadDeliveries(operator, { ...which, ...options }).finally(progress.end)
  const { queued, unchanged, skipped, dryRun } = result
  if (values.json) printJson({ queued, unchanged, skipped, dryRun })
  else {
    const names = queued === 1 ? 'names' : 'name'
    print(
      `${counted(queued, 'delivery', 'deliveries')} ${names} a job now, which ${dryRun ? 'would be' : 'is'} queued\n`,
    )
    if (unchanged > 0) print(`${unchanged} still ${unchanged === 1 ? 'names' : 'name'} none\n`)
  }
  for (const { id, why } of skipped) printError(oneLine(`${id}: ${why}`))
  if (queued > 0 && !dryRun) await tellService(operator)
  return skipped.length > 0 ? 1 : 0
}
