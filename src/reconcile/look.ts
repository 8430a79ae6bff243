import type { Clock } from '../clock.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { ReductoError } from '../reducto/errors.ts'
import type { FetchStatus } from '../reducto/job-status.ts'
import type { EventBus } from '../telemetry/events.ts'

/** Reducto ends most jobs within minutes, and Svix delivers within seconds: an expected job is overdue after this, ms. */
export const OVERDUE_AFTER_MS = 10 * 60_000
/** Calls of one look: beside the worker's they must not be felt. Reducto allows 200 a second. */
export const MAX_CALLS = 200
/** After so many failed calls in a row the look ends: Reducto does not answer, and the next look is soon. */
const MAX_FAILURES = 3
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
  readonly clock: Clock
  readonly events: EventBus
}

/**
 * Looks after expected jobs whose webhook is overdue: what has ended, or is unknown to Reducto, is queued, and the worker
 * does the rest as if a delivery had come. Looks go on where the last one ended, so that all get their turn.
 */
export function createLook({ ledger, fetchStatus, clock, events }: LookDeps): (signal: AbortSignal) => Promise<Look> {
  const again = new Map<string, number>()
  let after = 0

  function plan(jobId: string, createdAt: number): void {
    const now = clock.now()
    again.delete(jobId)
    if (again.size >= MAX_REMEMBERED) again.delete(again.keys().next().value!)
    again.set(jobId, now + Math.min(Math.max((now - createdAt) / 2, MIN_AGAIN_MS), MAX_AGAIN_MS))
  }

  async function ask(jobId: string, createdAt: number, signal: AbortSignal): Promise<MissedJob | null> {
    const found = await fetchStatus(jobId, signal)
    if (found.is === 'processing') {
      plan(jobId, createdAt)
      return null
    }
    const status = found.is === 'ended' ? found.status : null
    again.delete(jobId)
    // Its delivery may have come meanwhile.
    if ((await ledger.missed(jobId, { status, endpoint: 'default' })) === 'known') return null
    events.emit('missed', { jobId, status, ms: clock.now() - createdAt })
    return { jobId, status, createdAt }
  }

  return async (signal) => {
    const before = clock.now() - OVERDUE_AFTER_MS
    const missed: MissedJob[] = []
    let [asked, failures] = [0, 0]
    let overdue: number | null = null
    const result = (stopped: Look['stopped']): Look => ({ overdue: overdue ?? 0, asked, missed, stopped })
    // From where the last look ended to the end, then from the beginning.
    let rounds = after === 0 ? 1 : 2
    while (rounds > 0 && !signal.aborted) {
      const page = await ledger.overdue(before, PAGE, after)
      overdue ??= page.total
      for (const { jobId, createdAt } of page.jobs) {
        if (signal.aborted) return result(null)
        if ((again.get(jobId) ?? 0) > clock.now()) continue
        if (asked >= MAX_CALLS) return result('budget')
        asked++
        try {
          const found = await ask(jobId, createdAt, signal)
          failures = 0
          if (found) missed.push(found)
        } catch (error) {
          if (!(error instanceof ReductoError)) throw error
          if (error.kind === 'denied') return result('refused')
          if (error.kind === 'rate_limited') return result('slowed')
          if (++failures >= MAX_FAILURES) return result('failing')
        }
      }
      after = page.next ?? 0
      if (page.next === null) rounds--
    }
    return result(null)
  }
}
