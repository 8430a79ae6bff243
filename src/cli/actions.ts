import { ACTION_COLUMNS } from '../operations/columns.ts'
import { listActions } from '../operations/journal.ts'
import type { Run } from './command.ts'
import { listText } from './list-text.ts'
import { openForOperator } from './open.ts'
import { print, printJson } from './output.ts'
import type { actionsList } from './spec/actions.ts'
import { pageOf } from './values.ts'

/** `actions list`. */
export const runListActions: Run<typeof actionsList> = async ({ values }) => {
  const { limit, cursor } = pageOf(values)
  await using operator = await openForOperator()
  const page = await listActions(operator, { limit, cursor })
  if (values.json) return printJson(page)
  if (page.rows.length === 0) return print('Nobody has done anything.\n')
  print(listText(ACTION_COLUMNS, page.rows, { wide: values.wide, terminal: process.stdout }))
  return page.next === null ? 0 : print(`\nMore: --cursor ${page.next}\n`)
}
