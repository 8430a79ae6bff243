import type { Clock } from '../clock.ts'
import { OVERDUE_AFTER_MS, type Overdue, UNSAID_ENDPOINT } from '../inbox/expected.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { ReductoError } from '../reducto/errors.ts'
import type { FetchStatus } from '../reducto/job-status.ts'
import type { ListJobs } from '../reducto/list-jobs.ts'
import type { EventBus } from '../telemetry/events.ts'

/** Calls of one look: beside the worker's they must not be felt. Reducto allows 200 a second. */
export const MAX_CALLS = 200
/** After so many failed calls in a row the account is asked whether Reducto fails, or these jobs alone. */
const MAX_FAILURES = 3
/**
 * A job for which alone Reducto answers errors, in so many looks, is queued: the worker tries it as long as any other, and
 * names the reason when it gives up.
 */
const MAX_OWN_FAILURES = 3
/** Jobs that the inbox is asked for at once. */
const PAGE = 100
/** A job that Reducto still processes is looked at again after half of its age, within these bounds, ms. */
const MIN_AGAIN_MS = 10 * 60_000
/** Reducto keeps results for about 12 hours: a job must be looked at several times within that. */
const MAX_AGAIN_MS = 2 * 3_600_000
/** Jobs whose next look is remembered; of further ones each look asks again. */
const MAX_REMEMBERED = 100_000

/** What a look found. `overdue`: all jobs that were overdue at its beginning; `stopped`: why it ended early. */
export type Look = {
  readonly overdue: number
  readonly asked: number
  readonly missed: readonly MissedJob[]
  readonly stopped: 'budget' | 'refused' | 'slowed' | 'failing' | null
}

type MissedJob = { readonly jobId: string; readonly status: string | null; readonly createdAt: number }

export type LookDeps = {
  readonly ledger: Pick<Ledger, 'overdue' | 'missed'>
  readonly fetchStatus: FetchStatus
  /** Asks whether Reducto serves the account, where a call for one job fails. */
  readonly listJobs: ListJobs
  readonly clock: Clock
  readonly events: EventBus
}

type Job = Overdue['jobs'][number]
/** When a job is asked for again, ms; `failures`: looks in which Reducto answered an error for it alone. */
type Plan = { readonly at: number; readonly failures: number }

/**
 * Looks after expected jobs whose webhook is overdue: what has ended, or is unknown to Reducto, is queued, and the worker
 * does the rest as if a delivery had come. Looks go on where the last one ended, and a job that Reducto has only errors for
 * holds up no other, so that all get their turn.
 */
export function createLook({
  ledger,
  fetchStatus,
  listJobs,
  clock,
  events,
}: LookDeps): (signal: AbortSignal) => Promise<Look> {
  const plans = new Map<string, Plan>()
  let after = 0

  function plan({ jobId, createdAt }: Job, failures = 0): void {
    const now = clock.now()
    plans.delete(jobId)
    if (plans.size >= MAX_REMEMBERED) plans.delete(plans.keys().next().value!)
    plans.set(jobId, { at: now + Math.min(Math.max((now - createdAt) / 2, MIN_AGAIN_MS), MAX_AGAIN_MS), failures })
  }

  /** A plan further away than any is made is one from before the clock was set back. */
  function isPlanned({ jobId }: Job): boolean {
    const left = (plans.get(jobId)?.at ?? 0) - clock.now()
    return left > 0 && left <= MAX_AGAIN_MS
  }

  /** Null when its delivery has come meanwhile. */
  async function queue({ jobId, createdAt }: Job, status: string | null): Promise<MissedJob | null> {
    plans.delete(jobId)
    if ((await ledger.missed(jobId, { status, endpoint: UNSAID_ENDPOINT })) === 'known') return null
    events.emit('missed', { jobId, status, ms: clock.now() - createdAt })
    return { jobId, status, createdAt }
  }

  async function ask(job: Job, signal: AbortSignal): Promise<MissedJob | null> {
    const found = await fetchStatus(job.jobId, signal)
    if (found.is !== 'processing') return queue(job, found.is === 'ended' ? found.status : null)
    plan(job)
    return null
  }

  /** Reducto serves others, and these jobs not: they are asked for again later, or left to the worker. */
  async function setAside(jobs: readonly Job[]): Promise<readonly MissedJob[]> {
    const queued: MissedJob[] = []
    for (const job of jobs) {
      const failures = (plans.get(job.jobId)?.failures ?? 0) + 1
      const found = failures >= MAX_OWN_FAILURES ? await queue(job, null) : null
      if (found) queued.push(found)
      else if (failures < MAX_OWN_FAILURES) plan(job, failures)
    }
    return queued
  }

  async function isServed(signal: AbortSignal): Promise<boolean> {
    try {
      await listJobs({ limit: 1 }, signal)
      return true
    } catch (error) {
      if (error instanceof ReductoError) return false
      throw error
    }
  }

  return async (signal) => {
    const before = clock.now() - OVERDUE_AFTER_MS
    const missed: MissedJob[] = []
    let asked = 0
    const failed: Job[] = []
    let overdue: number | null = null
    const result = (stopped: Look['stopped']): Look => ({ overdue: overdue ?? 0, asked, missed, stopped })
    /** A failed call. Resolves to why the look ends; null to go on. */
    async function failedCall(job: Job, { kind }: ReductoError): Promise<Look['stopped']> {
      if (signal.aborted) return null
      if (kind === 'rate_limited') return 'slowed'
      failed.push(job)
      if (kind !== 'denied' && failed.length < MAX_FAILURES) return null
      if (!(await isServed(signal))) return kind === 'denied' ? 'refused' : 'failing'
      missed.push(...(await setAside(failed.splice(0))))
      return null
    }
    // From where the last look ended to the end, then from the beginning.
    let rounds = after === 0 ? 1 : 2
    while (rounds > 0 && !signal.aborted) {
      const page = await ledger.overdue(before, PAGE, after)
      overdue ??= page.total
      for (const job of page.jobs) {
        if (signal.aborted) return result(null)
        if (isPlanned(job)) continue
        if (asked >= MAX_CALLS) return result('budget')
        asked++
        try {
          const found = await ask(job, signal)
          if (found) missed.push(found)
          missed.push(...(await setAside(failed.splice(0))))
        } catch (error) {
          if (!(error instanceof ReductoError)) throw error
          const stopped = await failedCall(job, error)
          if (stopped !== null) return result(stopped)
        }
      }
      after = page.next ?? 0
      if (page.next === null) rounds--
    }
    if (failed.length > 0 && !signal.aborted && (await isServed(signal))) missed.push(...(await setAside(failed)))
    return result(null)
  }
}
