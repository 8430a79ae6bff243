import type { Claim, Inbox, NewAttempt } from '../../../src/inbox/inbox.ts'
import type { CleanReason, JobProgress, Stage } from '../../../src/job.ts'
import type { CleanText } from '../../../src/telemetry/scrub.ts'
import type { ManualClock } from '../../support/manual-clock.ts'
import { freeSlots } from '../../support/service.ts'

/** An inbox on a clock that moves when told. `open` opens it again, as after a restart. */
export type InboxTest = {
  readonly inbox: Inbox
  readonly clock: ManualClock
  readonly open: () => Promise<{ readonly inbox: Inbox }>
}

export const DAY = 86_400_000

export const because = (code: string, message: string): CleanReason => ({ code, message: message as CleanText })

export const attempt = (outcome = 'done', savedStatus: string | null = 'Completed'): NewAttempt => ({
  startedAt: 1_000,
  ms: 5,
  task: 'fetch',
  outcome,
  reason: null,
  savedStatus,
  type: savedStatus && 'Parse',
})

export const progress = (claim: Claim, change: Partial<JobProgress>): JobProgress => ({ ...claim.progress, ...change })
export const done = (claim: Claim) => progress(claim, { state: 'done' })
export const dead = (claim: Claim) => progress(claim, { state: 'dead', reason: because('x', 'gave up') })

export const claimFrom = (inbox: Inbox, limit: number, stage: Stage = 'fetch') => inbox.claim(stage, freeSlots(limit))
