import type { JobFilter, JobRow, Ledger, ListedDelivery, OperatorPause, Stats } from '../inbox/inbox.ts'
import type { JobState } from '../job.ts'
import { purgeAt, REDUCTO_KEEPS_MS } from '../purge.ts'

/** With less time left until then, a person should look, ms. */
const PURGE_NEAR_MS = 3 * 3_600_000
/** Deliveries that were not understood are looked for so far back, ms. */
const RECENT_MS = 24 * 3_600_000
/** Of those so many are counted at most. */
const MAX_COUNTED = 1_000

/** What `/readyz` of the running service says; null when it did not answer. */
export type Readiness = {
  readonly notReady: readonly string[]
  readonly degraded: readonly string[]
  readonly details: Readonly<Record<string, { readonly message?: string; readonly since?: string }>>
}

/** A folder that the service writes to, and what is free there, bytes; null when it cannot be told. */
export type Disk = { readonly what: 'inbox' | 'results'; readonly place: string; readonly free: number | null }

export type StatusDeps = {
  readonly ledger: Pick<Ledger, 'stats' | 'service' | 'oldest' | 'deliveries'>
  /** Whether a service holds the database. */
  readonly isRunning: () => boolean
  readonly readiness: () => Promise<Readiness | null>
  readonly disks: () => Promise<readonly Disk[]>
  /** MIN_FREE_DISK, bytes. */
  readonly minFree: number
  readonly version: string
  readonly now: () => number
}

/** Something that needs a person. `code` is stable; `message` says what to do. */
type Need = { readonly code: string; readonly message: string }

export type Status = {
  readonly version: string
  readonly isRunning: boolean
  /** Since when the service runs, or when the last one started, ms. */
  readonly startedAt: number | null
  readonly pause: OperatorPause | null
  readonly readiness: Readiness | null
  readonly jobs: Readonly<Record<JobState, number>>
  readonly deliveries: Stats['deliveries']
  /** The job that waits longest, since it was first heard of. */
  readonly oldestWaiting: { readonly jobId: string; readonly at: number } | null
  /** The unsaved result that Reducto deletes next, and about when, ms. */
  readonly nextPurge: { readonly jobId: string; readonly at: number } | null
  readonly lastVerifiedAt: number | null
  /** Deliveries of the last day that were rejected; null stands for `MAX_COUNTED` or more. */
  readonly rejectedLately: number | null
  readonly disks: readonly Disk[]
  readonly needs: readonly Need[]
}

/** How the service stands, and what of it needs a person. */
export async function statusOf(deps: StatusDeps): Promise<Status> {
  const { ledger, minFree } = deps
  const now = deps.now()
  const isRunning = deps.isRunning()
  const [stats, service, readiness, disks, waiting, nextPurge, rejected] = await Promise.all([
    ledger.stats(),
    ledger.service(),
    isRunning ? deps.readiness() : null,
    deps.disks(),
    ledger.oldest({ state: 'queued' }),
    firstPurge(ledger, now),
    ledger.deliveries({ disposition: 'rejected', since: now - RECENT_MS }, { limit: MAX_COUNTED }),
  ])
  const status = {
    version: deps.version,
    isRunning,
    startedAt: service.startedAt,
    pause: service.pause,
    readiness,
    jobs: stats.jobs,
    deliveries: stats.deliveries,
    oldestWaiting: waiting && { jobId: waiting.jobId, at: waiting.createdAt },
    nextPurge,
    lastVerifiedAt: stats.lastVerifiedAt,
    rejectedLately: counted(rejected.rows),
    disks,
  }
  return { ...status, needs: needsOf(status, now, minFree) }
}

function counted(rows: readonly ListedDelivery[]): number | null {
  return rows.length < MAX_COUNTED ? rows.length : null
}

/** Of jobs that are not saved, also dead ones while a retry could still save them. */
async function firstPurge(ledger: StatusDeps['ledger'], now: number): Promise<Status['nextPurge']> {
  const filters: readonly JobFilter[] = [
    { state: 'queued', stage: 'fetch' },
    { state: 'running', stage: 'fetch' },
    { state: 'dead', stage: 'fetch', createdSince: now - REDUCTO_KEEPS_MS },
  ]
  const found = await Promise.all(filters.map((filter) => ledger.oldest(filter)))
  const [first] = found.filter((job): job is JobRow => job !== null).sort((a, b) => a.createdAt - b.createdAt)
  return first ? { jobId: first.jobId, at: purgeAt(first.createdAt) } : null
}

function needsOf(status: Omit<Status, 'needs'>, now: number, minFree: number): readonly Need[] {
  const needs: Need[] = []
  const need = (isSo: unknown, code: string, message: string) => {
    if (isSo) needs.push({ code, message })
  }
  const { isRunning, readiness, pause, jobs, nextPurge, disks, rejectedLately } = status
  need(
    !isRunning,
    'not_running',
    'no service runs on this database: start it; Svix repeats what it cannot deliver for about a day',
  )
  need(
    isRunning && readiness === null,
    'no_answer',
    'the service did not answer GET /readyz at HOST and PORT: is it another machine’s, or does it hang? See its log',
  )
  for (const code of readiness?.notReady ?? [])
    need(true, code, `deliveries are not accepted: ${code}; see the service’s log`)
  need(
    pause,
    'worker_paused',
    `paused by a person${pause?.reason ? ` (${pause.reason})` : ''}: nothing is fetched or handed over until \`resume\``,
  )
  for (const code of readiness?.degraded ?? [])
    need(
      code !== 'worker_paused',
      code,
      readiness?.details[code]?.message ?? `degraded: ${code}; see the service’s log`,
    )
  need(
    jobs.dead > 0,
    'dead',
    `${jobs.dead} dead: \`jobs list --state dead\` says why; \`jobs retry --state dead\` queues them again`,
  )
  need(
    nextPurge && nextPurge.at - now < PURGE_NEAR_MS,
    'purge',
    `the result of ${nextPurge?.jobId} is not saved, and Reducto deletes results about 12 hours after their job ended`,
  )
  need(
    rejectedLately !== 0,
    'rejected',
    `${rejectedLately ?? `${MAX_COUNTED} or more`} deliveries of the last day were not understood: \`deliveries list --disposition rejected\``,
  )
  for (const { what, place, free } of disks)
    need(
      free !== null && free < minFree,
      'disk',
      `the disk of the ${what} (${place}) has less than MIN_FREE_DISK left: make room, and the service goes on`,
    )
  return needs
}
