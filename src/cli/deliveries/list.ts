import { DELIVERY_COLUMNS } from '../../operations/columns.ts'
import { listDeliveries } from '../../operations/deliveries.ts'
import type { Run } from '../command.ts'
import { listText } from '../list-text.ts'
import { openForOperator } from '../open.ts'
import { print, printJson } from '../output.ts'
import { showProgress } from '../progress.ts'
import type { deliveriesList } from '../spec/deliveries.ts'
import { pageOf } from '../values.ts'
import { deliveryFilterOf } from './filter.ts'

/** `deliveries list`. */
export const runListDeliveries: Run<typeof deliveriesList> = async ({ values }) => {
  const [filter, wanted] = [deliveryFilterOf(values), pageOf(values)]
  await using operator = await openForOperator()
  const progress = showProgress(process.stderr)
  const page = await listDeliveries(operator, filter, wanted, progress.searched).finally(progress.end)
  if (values.json) return printJson(page)
  if (page.rows.length === 0) return print('No delivery matches.\n')
  print(listText(DELIVERY_COLUMNS, page.rows, { wide: values.wide, terminal: process.stdout }))
  return page.next === null ? 0 : print(`\nMore: --cursor ${page.next}\n`)
}
