import { furthestDue } from '../../backoff.ts'
import { chooseClaims, isIsolated, isRetry, maySideFilesRun, planClaims } from '../../claims.ts'
import type { Stage, Task } from '../../job.ts'
import type { Claim, FreeSlots } from '../inbox.ts'
import { afterClaim, afterClockJump, claimOf } from '../transitions.ts'
import type { NextDue } from '../wake-up.ts'
import { firstDeliveryOf, type JobEntry, type Memory } from './memory.ts'

/** A job that may be claimed, or its side files. */
type Candidate = { readonly entry: JobEntry; readonly stage: Stage; readonly dueAt: number }

/** Claims due jobs: scans all of them, since there are few. */
export function createClaims(memory: Memory) {
  let turn = 0
  /** The last claim of the stage has seen everything that was due by this time. */
  const claimedAt: Record<Stage, number> = { fetch: 0, hand_over: 0 }

  const entries = () => [...memory.jobs.values()]
  const candidate = (entry: JobEntry): Candidate => ({ entry, ...entry.job.progress })
  const byDue = (a: Candidate, b: Candidate) => a.dueAt - b.dueAt
  /** Due jobs, longest due first. */
  const queued = (now: number, matches: (entry: JobEntry) => boolean) =>
    entries()
      .filter((entry) => entry.job.progress.state === 'queued' && entry.job.progress.dueAt <= now && matches(entry))
      .map(candidate)
      .sort(byDue)

  function isolatedDue(now: number): Candidate[] {
    return queued(now, ({ job }) => isIsolated(job.progress))
  }

  function waitingSideFiles(): Candidate[] {
    return entries()
      .flatMap((entry) =>
        entry.sideFiles && !entry.sideFiles.isRunning
          ? [{ entry, stage: 'fetch' as const, dueAt: entry.sideFiles.dueAt }]
          : [],
      )
      .sort(byDue)
  }

  /** The due jobs of a stage by endpoint. A job is not fetched while side files are added to its saved result. */
  function dueOf(stage: Stage, now: number) {
    const due = queued(
      now,
      ({ job: { progress }, sideFiles }) =>
        progress.stage === stage && !isIsolated(progress) && !(stage === 'fetch' && sideFiles?.isRunning),
    )
    const byEndpoint = Map.groupBy(due, ({ entry }) => entry.job.endpoint)
    return [...byEndpoint]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, jobs]) => {
        const oldest = jobs.filter(({ entry }) => !isRetry(entry.job.progress))
        const retries = jobs.filter(({ entry }) => isRetry(entry.job.progress))
        return { oldest, newest: oldest.toReversed(), retries }
      })
  }

  function claim(stage: Stage, slots: FreeSlots, now: number): readonly Claim[] {
    claimedAt[stage] = now
    const all = entries()
    const running = all.filter(({ job }) => job.progress.state === 'running').map(({ job }) => job.progress)
    const plan = planClaims({
      ...{ stage, ...slots, isPaused: memory.pause !== null },
      running: running.map((progress) => ({ ...progress, isRetry: isRetry(progress) })),
      sideFilesRunning: all.filter(({ sideFiles }) => sideFiles?.isRunning).length,
      isolated: isolatedDue(now),
    })
    if (plan.is === 'nothing') return []
    if (plan.is === 'alone') return [take(plan.job.entry, now)]
    const sideFiles = stage === 'fetch' ? waitingSideFiles().filter(({ dueAt }) => dueAt <= now) : []
    const tries = new Set(sideFiles.filter(({ entry }) => maySideFilesRun(entry.job.progress)))
    const chosen = chooseClaims<Candidate>({
      ...{ due: dueOf(stage, now), sideFiles: [...tries], limit: plan.limit, slots: slots.total },
      ...{ runningRetries: plan.runningRetries, newestFirst: slots.newestFirst, turn },
    })
    turn += chosen.length
    return chosen.map((one) => (tries.has(one) ? takeSideFiles(one.entry) : take(one.entry, now)))
  }

  function take(entry: JobEntry, now: number): Claim {
    const { job } = entry
    const token = ++memory.lastToken
    entry.job = afterClaim(job, token, now)
    return given(entry, job.progress.stage, token)
  }

  function takeSideFiles(entry: JobEntry): Claim {
    const token = ++memory.lastToken
    entry.sideFiles = { ...entry.sideFiles!, token, isRunning: true }
    return given(entry, 'side_files', token)
  }

  function given(entry: JobEntry, task: Task, token: number): Claim {
    const { job, otherEndpoints, sideFiles } = entry
    return claimOf(job, task, token, {
      ...{ first: firstDeliveryOf(entry), others: [...otherEndpoints].sort() },
      registered: entry.registration?.body ?? null,
      sideFiles: task === 'side_files' ? sideFiles : null,
    })
  }

  function nextDueOf(stage: Stage): number | null {
    let next = Number.POSITIVE_INFINITY
    const falls = (dueAt: number) => {
      if (dueAt > claimedAt[stage]) next = Math.min(next, dueAt)
    }
    for (const { job, sideFiles } of memory.jobs.values()) {
      const { progress } = job
      if (progress.state === 'queued' && (progress.stage === stage || isIsolated(progress))) falls(progress.dueAt)
      if (stage === 'fetch' && sideFiles && !sideFiles.isRunning) falls(sideFiles.dueAt)
    }
    return Number.isFinite(next) ? next : null
  }

  /** Computed on access rather than after every change. */
  const nextDue: NextDue = {
    get fetch() {
      return nextDueOf('fetch')
    },
    get hand_over() {
      return nextDueOf('hand_over')
    },
  }

  /** Moves due times back that a clock that jumped back has left too far ahead. Returns whether it moved any. */
  function clampDue(now: number): boolean {
    for (const stage of ['fetch', 'hand_over'] as const) claimedAt[stage] = Math.min(claimedAt[stage], now)
    let isFar = false
    for (const entry of memory.jobs.values()) {
      const job = afterClockJump(entry.job, now)
      if (job) entry.job = job
      const { sideFiles } = entry
      const isAhead = sideFiles !== null && !sideFiles.isRunning && sideFiles.dueAt > furthestDue(now)
      if (isAhead) entry.sideFiles = { ...sideFiles, dueAt: furthestDue(now) }
      isFar ||= job !== null || isAhead
    }
    return isFar
  }

  return { claim, isolatedDue, nextDue, clampDue }
}
