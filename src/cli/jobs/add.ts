import { type ExpectResult, expectJob } from '../../operations/expect.ts'
import { type Run, WrongUse } from '../command.ts'
import { openForOperator } from '../open.ts'
import { counted, print, printError, printJson } from '../output.ts'
import type { jobsAdd } from '../spec/jobs.ts'
import { jobIdsOf, jsonOf } from '../values.ts'

/** `jobs add ID…`. */
export const runAdd: Run<typeof jobsAdd> = async ({ args, values }) => {
  const ids = jobIdsOf(args)
  const registration = { metadata: jsonOf('metadata', values.metadata), endpoint: values.endpoint }
  await using operator = await openForOperator()
  const results: ExpectResult[] = []
  for (const id of ids) {
    const result = await expectJob(operator, id, registration, 'jobs add')
    if (result.is === 'refused') throw new WrongUse(result.message)
    results.push(result)
  }
  const [expected, known] = (['expected', 'known'] as const).map((is) => results.filter((one) => one.is === is))
  if (values.json)
    return printJson({ expected: expected!.map((one) => one.jobId), known: known!.map((one) => one.jobId) })
  for (const { jobId } of known!) printError(`${jobId} is known already and stays as it is: jobs show ${jobId}`)
  return print(`${counted(expected!.length, 'job is', 'jobs are')} expected from now on\n`)
}
