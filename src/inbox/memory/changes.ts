import { wakesBothStages } from '../../claims.ts'
import type { JobProgress, SideFilesProgress, Stage } from '../../job.ts'
import { afterExpect, afterMissed } from '../after-expected.ts'
import { notedAttempt } from '../attempt.ts'
import { identify, keptBody, rejectionOf } from '../deliveries.ts'
import { type Found, type Registration, registeredBody } from '../expected.ts'
import type { Claim, ClaimId, Content, Delivery, NewAttempt, Receipt, Requeue } from '../inbox.ts'
import {
  ATTEMPTS_KEPT,
  afterDeath,
  afterDelivery,
  afterErasure,
  afterPause,
  afterRequeue,
  afterReread,
  afterSettle,
  type Changed,
  isHeld,
  isInHand,
  type JobContent,
  placesOf,
  progressOf,
  requeuedAt,
  type StoredJob,
  sideFilesAfterDeath,
} from '../transitions.ts'
import { createClaims } from './claims.ts'
import { createJournal } from './journal.ts'
import type { JobEntry, Memory, StoredDelivery } from './memory.ts'
import { createPrune } from './prune.ts'

/** All changes of the inbox; each is made synchronously and as a whole. */
export type Changes = ReturnType<typeof createChanges>

/** `onQueued`: a stage has something new to claim. */
export function createChanges(memory: Memory, onQueued: (stage: Stage) => void) {
  const claims = createClaims(memory)
  const { note: noteAction, link, count, pruneNotes } = createJournal(memory)

  function accept(delivery: Delivery, now: number): Receipt {
    const { endpoint, content, receivedAt } = delivery
    memory.lastVerifiedAt = receivedAt
    memory.lastVerifiedBy.set(endpoint, receivedAt)
    const { svixId, earlier } = identify(delivery, (id) => memory.deliveries.get(id))
    if (earlier) {
      earlier.arrivals++
      earlier.lastAt = receivedAt
    }
    const kept = earlier ?? keep(delivery, svixId)
    if (content.is !== 'job') return { duplicate: earlier !== null, requeued: false, job: null }
    return announce(content, endpoint, kept, earlier !== null, now)
  }

  /** A delivery, which may be known, names its job. */
  function announce(
    { jobId, status }: JobContent,
    endpoint: string,
    kept: StoredDelivery,
    known: boolean,
    now: number,
  ): Receipt {
    const entry = memory.jobs.get(jobId)
    const decidesEndpoint = entry?.job.progress.state === 'expected' && entry.registration?.endpoint === null
    const arrival = { jobId, status, endpoint, number: kept.number, known, decidesEndpoint }
    const { receipt, ...changed } = afterDelivery(entry?.job ?? null, arrival, now)
    const at = entry ?? addJob(changed.job)
    if (!known) at.deliveries = [...at.deliveries, kept].sort((a, b) => a.number - b.number)
    put(at, changed)
    if (at.job.endpoint !== endpoint) at.otherEndpoints.add(endpoint)
    if (!entry) onQueued(changed.job.progress.stage)
    return receipt
  }

  function reread(svixId: string, content: Content, now: number, action?: number): 'job' | 'unchanged' | 'unknown' {
    const kept = memory.deliveries.get(svixId)
    if (!kept) return 'unknown'
    const taken = afterReread(kept, content)
    if (!taken) return 'unchanged'
    Object.assign(kept, { disposition: 'job', jobId: taken.jobId, status: taken.status, rejectedReason: null })
    announce(taken, kept.endpoint, kept, false, now)
    link(memory.jobs.get(taken.jobId)!, action)
    return 'job'
  }

  function keep(delivery: Delivery, svixId: string): StoredDelivery {
    const { endpoint, content, receivedAt } = delivery
    const kept: StoredDelivery = {
      ...{ number: ++memory.lastDelivery, svixId, endpoint, disposition: content.is },
      jobId: content.is === 'job' ? content.jobId : null,
      status: content.is === 'job' ? content.status : null,
      rejectedReason: rejectionOf(delivery),
      ...{ receivedAt, lastAt: receivedAt, arrivals: 1, body: keptBody(delivery) },
    }
    memory.deliveries.set(svixId, kept)
    return kept
  }

  function expectJob(jobId: string, { endpoint, metadata, by }: Registration, now: number): 'expected' | 'known' {
    const found = memory.jobs.get(jobId)
    const job = afterExpect(found?.job ?? null, jobId, { ...(endpoint === undefined ? {} : { endpoint }), by }, now)
    if (job === null) return 'known'
    const entry = found ?? addJob(job)
    entry.job = job
    const body = registeredBody(jobId, metadata)
    const was = entry.registration
    entry.registration = {
      endpoint: endpoint ?? was?.endpoint ?? null,
      body: body === null ? (was?.body ?? null) : Buffer.from(body),
      ...{ by: was?.by ?? by, at: was?.at ?? now },
    }
    return 'expected'
  }

  function missed(jobId: string, told: Found, now: number): 'queued' | 'known' {
    const entry = memory.jobs.get(jobId)
    const changed = afterMissed(entry?.job ?? null, jobId, told, now)
    if (changed === null) return 'known'
    put(entry ?? addJob(changed.job), changed)
    onQueued('fetch')
    return 'queued'
  }

  function addJob(job: StoredJob): JobEntry {
    const entry: JobEntry = {
      ...{ seq: ++memory.lastJob, job, sideFiles: null, registration: null },
      ...{ deliveries: [], otherEndpoints: new Set(), attempts: new Map(), actions: [] },
    }
    memory.jobs.set(job.jobId, entry)
    return entry
  }

  function put(entry: JobEntry, { job, dropsSideFiles }: Changed): void {
    const isNew = job.progress !== entry.job.progress
    entry.job = job
    if (dropsSideFiles) entry.sideFiles = null
    if (isNew && job.progress.state === 'queued') onQueued(job.progress.stage)
  }

  function held(claim: ClaimId): JobEntry | null {
    const entry = memory.jobs.get(claim.jobId)
    return entry && isHeld(claim, entry.job, entry.sideFiles) ? entry : null
  }

  function settle(
    claim: Claim,
    next: JobProgress,
    attempt: NewAttempt,
    sideFiles: SideFilesProgress | null,
    now: number,
  ) {
    const entry = held(claim)
    if (!entry) return false
    note(entry, claim.token, attempt)
    if (sideFiles) putSideFiles(entry, sideFiles)
    const ended = entry.job.progress
    put(entry, { job: afterSettle(entry.job, claim, next, attempt, now), dropsSideFiles: false })
    wakeAfter(ended, now)
    return true
  }

  function settleSideFiles(claim: Claim, next: SideFilesProgress | null, attempt: NewAttempt, now: number): boolean {
    const entry = held(claim)
    if (!entry) return false
    note(entry, claim.token, attempt)
    putSideFiles(entry, next)
    // A fetch may have waited for the end of these side files.
    onQueued('fetch')
    wakeAfter({ crashes: 0 }, now)
    return true
  }

  function wakeAfter(ended: Pick<JobProgress, 'crashes'>, now: number): void {
    if (wakesBothStages(ended, () => claims.isolatedDue(now).length > 0)) wakeAll()
  }

  function wakeAll(): void {
    for (const stage of ['fetch', 'hand_over'] as const) onQueued(stage)
  }

  function putSideFiles(entry: JobEntry, next: SideFilesProgress | null): void {
    entry.sideFiles = next && { ...progressOf(next), token: entry.sideFiles?.token ?? 0, isRunning: false }
  }

  function note(entry: JobEntry, token: number, attempt: NewAttempt): void {
    entry.attempts.set(token, notedAttempt(attempt))
    const [oldest] = entry.attempts.keys()
    if (entry.attempts.size > ATTEMPTS_KEPT) entry.attempts.delete(oldest!)
  }

  /** Recovers the jobs that were running when the inbox was closed. */
  function recover(now: number): void {
    const asked = memory.isStopAsked
    for (const entry of memory.jobs.values()) {
      if (entry.job.progress.state === 'running') {
        const { job, attempt } = afterDeath(entry.job, asked, now)
        if (attempt) note(entry, entry.job.token, attempt)
        put(entry, { job, dropsSideFiles: false })
      }
      if (entry.sideFiles?.isRunning) {
        const { next, attempt } = sideFilesAfterDeath(entry.sideFiles, asked, now)
        if (attempt) note(entry, entry.sideFiles.token, attempt)
        putSideFiles(entry, next)
      }
    }
    memory.isStopAsked = false
    memory.startedAt = now
    claims.clampDue(now)
  }

  /** Queues these again, each in its place. Returns how many could be. */
  function requeue(entries: readonly JobEntry[], { refetch = false, part, action }: Requeue, now: number): number {
    const { first, total } = placesOf(entries.length, part)
    let queued = 0
    for (const [index, entry] of entries.entries()) {
      const changed = afterRequeue(entry.job, refetch, requeuedAt(now, first + index, total), now)
      if (!changed) continue
      queued++
      put(entry, changed)
      link(entry, action)
    }
    return queued
  }

  function erase(jobId: string, now: number, action?: number): 'erased' | 'running' | 'unknown' {
    const entry = memory.jobs.get(jobId)
    if (!entry) return 'unknown'
    if (isInHand(entry.job, entry.sideFiles)) return 'running'
    for (const delivery of entry.deliveries) delivery.body = null
    if (entry.registration) entry.registration = { ...entry.registration, body: null }
    entry.attempts.clear()
    put(entry, { job: afterErasure(entry.job, now), dropsSideFiles: true })
    link(entry, action)
    return 'erased'
  }

  return {
    ...claims,
    accept,
    expect: expectJob,
    missed,
    reread,
    settle,
    settleSideFiles,
    holds: (claim: ClaimId) => held(claim) !== null,
    recover,
    requeue,
    erase,
    ...createPrune(memory, pruneNotes),
    noteAction,
    count,
    pause(on: boolean, reason: string | null, now: number): void {
      memory.pause = on ? afterPause(memory.pause, reason, now) : null
      if (!on) wakeAll()
    },
    looked(now: number): number | null {
      const before = memory.lookedAt
      memory.lookedAt = now
      return before
    },
    stopAsked(): void {
      memory.isStopAsked = true
    },
  }
}
