import { JOB_COLUMNS } from '../../operations/columns.ts'
import { listJobs } from '../../operations/list.ts'
import type { Run } from '../command.ts'
import { listText } from '../list-text.ts'
import { openForOperator } from '../open.ts'
import { print, printJson } from '../output.ts'
import { showProgress } from '../progress.ts'
import type { jobsList } from '../spec/jobs.ts'
import { filterOf, pageOf, timeOf } from '../values.ts'

/** `jobs list`. */
export const runList: Run<typeof jobsList> = async ({ values }) => {
  const until = values.until === undefined ? {} : { until: timeOf('until', values.until) }
  const [filter, wanted] = [{ ...filterOf(values), ...until }, pageOf(values)]
  await using operator = await openForOperator()
  const progress = showProgress(process.stderr)
  const page = await listJobs(operator, filter, wanted, progress.searched).finally(progress.end)
  if (values.json) return printJson(page)
  if (page.rows.length === 0) return print('No job matches.\n')
  print(listText(JOB_COLUMNS, page.rows, { wide: values.wide, terminal: process.stdout }))
  return page.next === null ? 0 : print(`\nMore: --cursor ${page.next}\n`)
}
