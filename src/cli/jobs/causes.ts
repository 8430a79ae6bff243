import { CAUSE_COLUMNS } from '../../operations/columns.ts'
import { listCauses } from '../../operations/journal.ts'
import type { Run } from '../command.ts'
import { listText } from '../list-text.ts'
import { openForOperator } from '../open.ts'
import { print, printError, printJson } from '../output.ts'
import type { jobsCauses } from '../spec/jobs.ts'

/** `jobs causes`. */
export const runCauses: Run<typeof jobsCauses> = async ({ values }) => {
  await using operator = await openForOperator()
  const found = await listCauses(operator)
  if (values.json) return printJson(found)
  if (found.causes.length === 0) return print('No job is dead.\n')
  print(listText(CAUSE_COLUMNS, found.causes, { wide: values.wide, terminal: process.stdout }))
  if (found.searchedTo !== null) printError('Older causes may be left out.')
  return 0
}
