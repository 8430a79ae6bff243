import type { JobDetail } from '../inbox/inbox.ts'
import { isTestJob } from '../job.ts'
import { metadataPairs, stateOf } from '../operations/present.ts'
import type { JobRecord } from '../results/record.ts'
import { formatBytes } from '../units.ts'
import { ago, oneLine, table } from './table.ts'

/** All that is known of a job, for people. `place`: where results are kept. */
export function describeJob(
  job: JobDetail & { readonly metadata: unknown },
  record: JobRecord | null,
  place: string,
): string {
  const time = (at: number) => `${new Date(at).toISOString()} (${ago(at)})`
  const facts = [
    ['Job', job.jobId],
    ['State', stateOf(job)],
    ...(job.reason ? [['Reason', `${job.reason.code}: ${job.reason.message}`]] : []),
    ...(record?.reason ? [['Reducto', record.reason]] : []),
    ...(job.crashes > 0 ? [['Crashes', `${job.crashes} while it ran`]] : []),
    ...(job.state === 'queued' ? [['Due', time(job.dueAt)]] : []),
    ['Endpoints', job.endpoints.join(', ')],
    ...(job.registered ? [['Registered', `${time(job.registered.at)}, by ${job.registered.by}`]] : []),
    ['First seen', time(job.createdAt)],
    [
      'Result',
      record
        ? `${resultOf(record)}, in ${place}/${job.jobId}`
        : isTestJob(job.jobId)
          ? 'none: a test of send-test'
          : 'not saved',
    ],
    ...(record?.warning ? [['Warning', record.warning]] : []),
    ...(job.metadata === null ? [] : [['Metadata', metadataPairs(job.metadata)]]),
  ]
  const deliveries = job.deliveries.map((one) => [
    one.svixId,
    one.status ?? '',
    one.endpoint,
    time(one.receivedAt),
    String(one.arrivals),
  ])
  const attempts = job.attempts.map((one) => [
    time(one.startedAt),
    one.task.replace('_', ' '),
    one.outcome,
    `${one.ms} ms`,
    one.reason ? `${one.reason.code}: ${one.reason.message}` : '',
  ])
  const actions = job.actions.map(({ at, what, who }) => [time(at), what.replace('_', ' '), oneLine(who)])
  return [
    table(['', ''], facts).replace(/^.*\n/, ''),
    table(['DELIVERY', 'STATUS', 'ENDPOINT', 'RECEIVED', 'TIMES'], deliveries),
    ...(actions.length > 0 ? [table(['ACTION', 'WHAT', 'WHO'], actions)] : []),
    attempts.length > 0 ? table(['ATTEMPT', 'TASK', 'OUTCOME', 'TOOK', 'REASON'], attempts) : 'No attempt so far.\n',
  ].join('\n')
}

function resultOf({ type, status, job, files, complete, gave_up }: JobRecord): string {
  const saved = `${type ?? 'unknown type'} · ${status}, ${formatBytes(job.bytes)} and ${files.count} files`
  const missing = files.failed > 0 ? `, ${files.failed} of them could not be downloaded` : ''
  if (gave_up) return `incomplete, given up (${gave_up.code}); what there is: ${saved}${missing}`
  return `${saved}${missing}${complete || missing ? '' : ', not all of it readable'}`
}
