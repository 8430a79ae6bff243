import type { DatabaseSync } from 'node:sqlite'
import type { JobState } from '../../job.ts'
import { isDeliveryPrunable } from '../deliveries.ts'
import type { Content } from '../inbox.ts'
import { countsKeptFrom } from '../journal.ts'
import { isJobPrunable } from '../transitions.ts'
import { createPruneBodies } from './prune-bodies.ts'
import type { Writer } from './writer.ts'

/** Rows per step, so that accepts are not delayed. */
const STEP = 500

/** The position of a walk; null when it has seen everything that is old enough. `isFirst`: nothing has been looked at. */
export type PruneCursor = { readonly job: number | null; readonly delivery: number | null; readonly isFirst?: boolean }

/** The steps by which old rows go, each a change of its own. */
export type Prune = ReturnType<typeof createPrune>

/**
 * Deletes everything older than `before`, step by step. Rows are in order of time, so that a walk ends at the first
 * younger row and reads only rows that it deletes, apart from queued and dead jobs, which stay.
 */
export function createPrune(db: DatabaseSync, writer: Writer) {
  const p = (text: string) => db.prepare(text)
  const jobs = p(
    `SELECT seq, job_id AS jobId, first_delivery AS firstDelivery, state, created_at AS createdAt, updated_at AS updatedAt
     FROM job WHERE seq > :after ORDER BY seq LIMIT ${STEP}`,
  )
  const later = p('SELECT seq FROM delivery WHERE is_later = 1 AND job_id = :jobId')
  const deliveries = p(
    `SELECT seq, disposition, received_at AS receivedAt, last_at AS lastAt
     FROM delivery WHERE seq > :after ORDER BY seq LIMIT ${STEP}`,
  )
  const deleteBody = p('DELETE FROM delivery_body WHERE seq = :seq')
  const deleteDelivery = p('DELETE FROM delivery WHERE seq = :seq')
  const deleteSteps = [
    p('DELETE FROM job_endpoint WHERE job_id = (SELECT job_id FROM job WHERE seq = :seq)'),
    p('DELETE FROM attempt WHERE job_seq = :seq'),
    p('DELETE FROM action_job WHERE job_seq = :seq'),
    p('DELETE FROM side_files WHERE job_seq = :seq'),
    p('DELETE FROM registration WHERE job_seq = :seq'),
    p('DELETE FROM job WHERE seq = :seq'),
  ]
  const deleteActions = p('DELETE FROM action WHERE at < :before')
  const deleteCounts = {
    minute: p('DELETE FROM minute WHERE at < :before'),
    hour: p('DELETE FROM hour WHERE at < :before'),
  }

  function removeDelivery(seq: number, disposition: string): void {
    deleteBody.run({ seq })
    deleteDelivery.run({ seq })
    writer.tally.count(`delivery:${disposition}`, -1)
  }

  function jobStep(before: number, after: number): Step {
    const found = jobs.all({ after }) as JobAge[]
    const gone = found.filter((job) => isJobPrunable(job, before))
    for (const { seq, jobId, firstDelivery } of gone) {
      if (firstDelivery !== null) removeDelivery(firstDelivery, 'job')
      for (const delivery of later.all({ jobId }) as { seq: number }[]) removeDelivery(delivery.seq, 'job')
      for (const statement of deleteSteps) statement.run({ seq })
      writer.tally.countTransition({ state: 'done', stage: 'fetch' }, null)
    }
    return { rows: gone.length, next: nextOf(found, (job) => job.createdAt < before) }
  }

  /** Deliveries without a job. The others are deleted with their job. */
  function deliveryStep(before: number, after: number): Step {
    const found = deliveries.all({ after }) as DeliveryAge[]
    const gone = found.filter((delivery) => isDeliveryPrunable(delivery, before))
    for (const { seq, disposition } of gone) removeDelivery(seq, disposition)
    return { rows: gone.length, next: nextOf(found, (delivery) => delivery.receivedAt < before) }
  }

  /** A look once an hour finds few: an hour's counts, and what people did then. */
  function notes(before: number, now: number): number {
    const kept = countsKeptFrom(now)
    deleteCounts.minute.run({ before: kept.minute })
    deleteCounts.hour.run({ before: kept.hour })
    return Number(deleteActions.run({ before }).changes)
  }

  function prune(before: number, at: PruneCursor, now: number): { rows: number; next: PruneCursor | null } {
    const noted = at.isFirst ? notes(before, now) : 0
    const byJob = at.job === null ? { rows: 0, next: null } : jobStep(before, at.job)
    const byDelivery = at.delivery === null ? { rows: 0, next: null } : deliveryStep(before, at.delivery)
    const over = byJob.next === null && byDelivery.next === null
    return {
      rows: noted + byJob.rows + byDelivery.rows,
      next: over ? null : { job: byJob.next, delivery: byDelivery.next },
    }
  }

  return { prune, ...createPruneBodies(db) }
}

type Step = { readonly rows: number; readonly next: number | null }

type JobAge = {
  seq: number
  jobId: string
  firstDelivery: number | null
  state: JobState
  createdAt: number
  updatedAt: number
}
type DeliveryAge = { seq: number; disposition: Content['is']; receivedAt: number; lastAt: number }

/** The position where a walk continues; null when it has reached the first row that is too young, or the end. */
function nextOf<Row extends { seq: number }>(found: readonly Row[], isOld: (row: Row) => boolean): number | null {
  return found.length === STEP && found.every(isOld) ? found.at(-1)!.seq : null
}
