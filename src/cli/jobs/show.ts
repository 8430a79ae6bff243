import { showJob } from '../../operations/show.ts'
import type { Run } from '../command.ts'
import { describeJob } from '../job-text.ts'
import { openForOperator } from '../open.ts'
import { print, printJson } from '../output.ts'
import type { jobsShow } from '../spec/jobs.ts'
import { jobIdsOf } from '../values.ts'

/** `jobs show ID`. */
export const runShow: Run<typeof jobsShow> = async ({ args, values }) => {
  const [id = ''] = jobIdsOf(args)
  await using operator = await openForOperator()
  const shown = await showJob(operator, id, new AbortController().signal)
  if (shown.is === 'refused') throw new Error(shown.message)
  const { job, record } = shown
  return values.json ? printJson({ ...job, record }) : print(describeJob(job, record, operator.place))
}
