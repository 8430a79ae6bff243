import { disksOf } from '../compose-operator.ts'
import { isServiceRunning } from '../inbox/open.ts'
import { type Readiness, type Status, statusOf } from '../operations/status.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { formatBytes } from '../units.ts'
import { packageVersion } from '../version.ts'
import type { Run } from './command.ts'
import { openForOperator } from './open.ts'
import { print, printJson } from './output.ts'
import type { status } from './spec/service.ts'
import { ago, oneLine, table } from './table.ts'

/** The service is on this machine: it answers at once, or hangs. ms */
const READYZ_TIMEOUT_MS = 3_000

/** `status`: exit 1 when something needs a person. */
export const runStatus: Run<typeof status> = async ({ values }) => {
  const { host, port } = loadConfig(environment(), ['host', 'port'])
  await using operator = await openForOperator()
  const isRunning = await isServiceRunning(operator.config.database, operator.ledger)
  const found = await statusOf({
    ...operator,
    isRunning: () => isRunning,
    readiness: () => readinessAt(host, port),
    disks: () => disksOf(operator.config),
    minFree: operator.config.minFreeDisk,
    version: packageVersion(),
  })
  if (values.json) printJson(found)
  else print(describe(found))
  return found.needs.length > 0 ? 1 : 0
}

/** An address that takes connections on all of the machine's is reached on its own. */
async function readinessAt(host: string, port: number): Promise<Readiness | null> {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  try {
    const response = await fetch(`http://${name}:${port}/readyz`, { signal: AbortSignal.timeout(READYZ_TIMEOUT_MS) })
    const said = (await response.json()) as Record<string, unknown>
    const list = (value: unknown) => (Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [])
    const details = typeof said.details === 'object' && said.details !== null ? said.details : {}
    return {
      notReady: list(said.not_ready),
      degraded: list(said.degraded),
      details: details as Readiness['details'],
    }
  } catch {
    return null
  }
}

function describe(found: Status): string {
  const { isRunning, startedAt, pause, jobs, deliveries, oldestWaiting, nextPurge, lastVerifiedAt, disks, needs } =
    found
  const since = startedAt === null ? '' : ` since ${time(startedAt)}`
  const waits = jobs.queued + jobs.running
  const facts = [
    [
      'Service',
      isRunning
        ? `running${since}`
        : startedAt === null
          ? 'not running'
          : `not running; last started ${time(startedAt)}`,
    ],
    ['Version', found.version],
    ...(pause ? [['Paused', `since ${time(pause.since)}${pause.reason ? `: ${pause.reason}` : ''}`]] : []),
    [
      'Jobs',
      `${jobs.queued} queued, ${jobs.running} running, ${jobs.done} done, ${jobs.dead} dead, ${jobs.expected} expected`,
    ],
    ['Deliveries', `${deliveries.job} for jobs, ${deliveries.ignored} ignored, ${deliveries.rejected} rejected`],
    ['Last delivery', lastVerifiedAt === null ? 'none so far' : time(lastVerifiedAt)],
    ...(waits > 0 && oldestWaiting ? [['Oldest waiting', `${oldestWaiting.jobId}, ${time(oldestWaiting.at)}`]] : []),
    ...(nextPurge ? [['Next purge', `${nextPurge.jobId}, about ${time(nextPurge.at)}`]] : []),
    ...disks.map(({ what, place, free }) => [
      `Disk (${what})`,
      free === null ? `${place} cannot be looked at` : `${formatBytes(free)} free at ${place}`,
    ]),
  ]
  const list = table(['', ''], facts).replace(/^.*\n/, '')
  if (needs.length === 0) return `${list}\nAll is well.\n`
  return `${list}\nNeeds a person:\n${needs.map(({ message }) => `- ${oneLine(message)}\n`).join('')}`
}

function time(at: number): string {
  return `${new Date(at).toISOString()} (${ago(at)})`
}
