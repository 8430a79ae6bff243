import type { JobRow } from '../inbox/inbox.ts'
import type { Check } from './context.ts'
import { type Finding, findingOf, ok, problem } from './finding.ts'
import { jobsOf } from './pages.ts'

/** So many dead jobs are looked at: enough to know the causes. */
const MAX_LOOKED_AT = 5_000

/** Dead jobs by cause, each with what Svix's *Resend* would do. */
export const dead: Check = {
  name: 'dead jobs',
  group: 'here',
  async run({ ledger }, signal) {
    const { jobs, isAll } = await jobsOf(await ledger(), { state: 'dead' }, MAX_LOOKED_AT, signal)
    if (jobs.length === 0) return findingOf([ok('no job is dead')])
    const groups = Map.groupBy(jobs, ({ reason }) => reason?.code ?? 'failed')
    const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length)
    return causes(sorted, isAll)
  },
}

function causes(groups: readonly (readonly [code: string, jobs: readonly JobRow[]])[], isAll: boolean): Finding {
  return findingOf(
    groups.map(([code, jobs]) => {
      const count = `${jobs.length}${isAll ? '' : ' or more'} dead: ${code}`
      const { message = '' } = jobs[0]?.reason ?? {}
      return problem(message === '' ? count : `${count} (${jobs[0]!.jobId}: ${message})`, cureOf(code, jobs))
    }),
  )
}

/** Reasons for which another try cannot help, and what can. */
const FINAL: Readonly<Record<string, string>> = {
  unknown_job: 'Resend would end the same way: submit the documents again, with the key and region of the settings',
  deleted: 'Resend would end the same way: the jobs were deleted at Reducto; submit the documents again',
  no_result: 'Resend asks Reducto once more; if the result is still not there, submit the documents again',
  erased: 'Resend does nothing: an operator erased them',
}

function cureOf(code: string, jobs: readonly JobRow[]): string {
  if (Object.hasOwn(FINAL, code)) return FINAL[code]!
  const again = `\`jobs retry --state dead --code ${code}\``
  if (jobs.every(({ stage }) => stage === 'hand_over'))
    return `the results are saved. Mend the cause, then ${again} hands them over again; Resend does the same for one`
  return `mend the cause, then ${again}, or Resend for one, fetches them anew: within 12 hours of the job’s end`
}
