import type { CleanText } from '../../telemetry/scrub.ts'
import { areBodiesPrunable, isDeliveryPrunable } from '../deliveries.ts'
import { isJobPrunable } from '../transitions.ts'
import type { Memory, StoredDelivery } from './memory.ts'

/** Forgets what is past its time. `pruneNotes`: of the journal. */
export function createPrune(memory: Memory, pruneNotes: (before: number, now: number) => number) {
  function prune(before: number, now: number): number {
    let rows = pruneNotes(before, now)
    for (const { job, deliveries } of memory.jobs.values()) {
      if (!isJobPrunable({ ...job, state: job.progress.state }, before)) continue
      for (const { svixId } of deliveries) memory.deliveries.delete(svixId)
      memory.jobs.delete(job.jobId)
      rows++
    }
    for (const delivery of memory.deliveries.values()) {
      if (!isDeliveryPrunable(delivery, before)) continue
      memory.deliveries.delete(delivery.svixId)
      rows++
    }
    return rows
  }

  function pruneBodies(before: number): number {
    let gone = 0
    for (const delivery of memory.deliveries.values()) {
      const job = delivery.jobId === null ? null : (memory.jobs.get(delivery.jobId)?.job ?? null)
      const owner = job && { state: job.progress.state, updatedAt: job.updatedAt }
      if (areBodiesPrunable(delivery, owner, before)) gone += drop(delivery)
    }
    for (const entry of memory.jobs.values()) {
      const { job, attempts, registration } = entry
      if (job.progress.state !== 'done' || job.updatedAt >= before) continue
      if (registration?.body) {
        entry.registration = { ...registration, body: null }
        gone++
      }
      for (const [token, attempt] of attempts) {
        if (!attempt.reason?.message) continue
        attempts.set(token, { ...attempt, reason: { ...attempt.reason, message: '' as CleanText } })
        gone++
      }
    }
    return gone
  }

  /** Of a delivery that concerns no job: the body of another goes with its job's. */
  function eraseDelivery(svixId: string): boolean {
    const delivery = memory.deliveries.get(svixId)
    if (!delivery || delivery.disposition === 'job') return false
    drop(delivery)
    return true
  }

  return { prune, pruneBodies, eraseDelivery }
}

function drop(delivery: StoredDelivery): number {
  const had = delivery.body !== null
  delivery.body = null
  return had ? 1 : 0
}
