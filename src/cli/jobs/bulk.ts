import type { JobFilter } from '../../inbox/inbox.ts'
import { stateOf } from '../../operations/present.ts'
import type { Refusal } from '../../operations/refusal.ts'
import type { BulkResult } from '../../operations/requeue.ts'
import { type Bulk, MAX_BULK } from '../../operations/select.ts'
import { WrongUse } from '../command.ts'
import { counted, print, printError, printJson } from '../output.ts'
import type { Progress } from '../progress.ts'
import { oneLine, table } from '../table.ts'
import { filterOf, jobIdsOf, numberOf, timeOf } from '../values.ts'

type BulkValues = Parameters<typeof filterOf>[0] & {
  readonly until: string | undefined
  readonly expect: string | undefined
  readonly 'dry-run': boolean
  readonly json: boolean
}

type BulkSpec = { readonly name: string; readonly args?: string }

/** What a bulk command is for: never all by accident. @throws WrongUse */
export function bulkOf(spec: BulkSpec, args: readonly string[], values: BulkValues, progress: Progress): Bulk {
  const ids = jobIdsOf(args)
  const filter = filterOf(values)
  if (ids.length > 0 && Object.keys(filter).length > 0)
    throw new WrongUse(`${spec.name} takes either job ids or options that say which`)
  if (ids.length === 0 && Object.keys(filter).length === 0) throw new WrongUse(`${spec.name} takes ${spec.args}`)
  const which: { ids: readonly string[] } | { filter: JobFilter } = ids.length > 0 ? { ids } : { filter }
  return {
    ...which,
    dryRun: values['dry-run'],
    ...(values.until === undefined ? {} : { until: timeOf('until', values.until) }),
    ...(values.expect === undefined ? {} : { expect: numberOf('expect', values.expect, 0, 1e15) }),
    onSearched: progress.searched,
    onProgress: progress.done,
  }
}

/** What is said of `jobs`: `will be queued again`, `would be queued again`. */
export type Wording = { readonly did: string; readonly would: string }

/** What `--expect` counts beside jobs, and the line that tells it. */
type Also = { readonly count: number; readonly line: string }

/** Prints what became of a bulk command. Returns its exit code: 1 when something that was named was left out. */
export function reportBulk(
  result: BulkResult | Refusal,
  values: Pick<BulkValues, 'json' | 'until'>,
  words: Wording,
  more: Readonly<Record<string, unknown>> = {},
  also: Also = { count: 0, line: '' },
): number {
  if (result.is === 'refused') throw new Error(result.message)
  const { jobs, dryRun, named, skipped, until, isMore } = result
  if (values.json)
    printJson({
      jobs,
      dryRun,
      ...(dryRun ? { named: named.map(({ jobId }) => jobId), until, expect: jobs + also.count } : {}),
      skipped,
      isMore,
      ...more,
    })
  else {
    print(`${counted(jobs, 'job')} ${dryRun ? words.would : words.did}\n`)
    if (dryRun && jobs > 0) {
      print(
        table(
          ['', ''],
          named.map((job) => [`  ${job.jobId}`, `${stateOf(job)}${because(job)}`]),
        ).replace(/^.*\n/, ''),
      )
      if (jobs > named.length) print(`  … and ${jobs - named.length} more\n`)
    }
    if (also.count > 0) print(`${also.line}\n`)
    if (dryRun && jobs + also.count > 0) print(`${boundsOf(until, jobs + also.count)}\n`)
  }
  for (const { id, why } of skipped) printError(oneLine(`${id}: ${why}`))
  if (isMore) printError(`More match: one call takes ${MAX_BULK} at most. Run it again for the rest.`)
  return skipped.length > 0 ? 1 : 0
}

function boundsOf(until: number, expect: number): string {
  return `To do it with these and no others, add: --until ${new Date(until).toISOString()} --expect ${expect}`
}

function because({ reason }: BulkResult['named'][number]): string {
  return reason ? `, ${reason.code}: ${reason.message}` : ''
}
