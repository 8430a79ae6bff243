import type { DatabaseSync } from 'node:sqlite'
import type { Writer } from './writer.ts'

/** Rows that one step looks at, so that accepts are not held up by it. */
const STEP = 500

/** Where a walk has got to; null when it has seen all that is old enough. */
export type PruneCursor = { readonly job: number | null; readonly delivery: number | null }

/**
 * Deletes what is older than `before`, a step at a time. Rows are in order of time, so a walk ends at the first that is
 * younger, and never reads what it will not delete, apart from the queued and dead jobs that stay.
 */
export function createPrune(db: DatabaseSync, writer: Writer) {
  const p = (text: string) => db.prepare(text)
  const jobs = p(
    'SELECT seq, job_id, first_delivery, state, created_at, updated_at FROM job WHERE seq > ? ORDER BY seq LIMIT ?',
  )
  const further = p('SELECT seq FROM delivery WHERE further = 1 AND job_id = ?')
  const deliveries = p('SELECT seq, disposition, received_at, last_at FROM delivery WHERE seq > ? ORDER BY seq LIMIT ?')
  const deleteBody = p('DELETE FROM delivery_body WHERE seq = ?')
  const deleteDelivery = p('DELETE FROM delivery WHERE seq = ?')
  const deleteOf = [
    p('DELETE FROM job_endpoint WHERE job_id = (SELECT job_id FROM job WHERE seq = ?)'),
    p('DELETE FROM attempt WHERE job = ?'),
    p('DELETE FROM side_files WHERE job = ?'),
    p('DELETE FROM job WHERE seq = ?'),
  ]

  function removeDelivery(seq: number, disposition: string): void {
    deleteBody.run(seq)
    deleteDelivery.run(seq)
    writer.tally.count(`delivery:${disposition}`, -1)
  }

  function jobStep(before: number, from: number): { rows: number; next: number | null } {
    const found = jobs.all(from, STEP) as JobAge[]
    const old = found.filter((job) => job.created_at < before)
    const gone = old.filter((job) => job.updated_at < before && job.state === 'done')
    for (const job of gone) {
      if (job.first_delivery !== null) removeDelivery(job.first_delivery, 'job')
      for (const { seq } of further.all(job.job_id) as { seq: number }[]) removeDelivery(seq, 'job')
      for (const statement of deleteOf) statement.run(job.seq)
      writer.tally.countTransition('done', null)
    }
    return { rows: gone.length, next: old.length === STEP ? found.at(-1)!.seq : null }
  }

  /** Deliveries without a job. The others are deleted with their job. */
  function deliveryStep(before: number, from: number): { rows: number; next: number | null } {
    const found = deliveries.all(from, STEP) as DeliveryAge[]
    const old = found.filter((delivery) => delivery.received_at < before)
    const gone = old.filter((delivery) => delivery.last_at < before && delivery.disposition !== 'job')
    for (const delivery of gone) removeDelivery(delivery.seq, delivery.disposition)
    return { rows: gone.length, next: old.length === STEP ? found.at(-1)!.seq : null }
  }

  return (before: number, at: PruneCursor): { rows: number; next: PruneCursor | null } => {
    const byJob = at.job === null ? { rows: 0, next: null } : jobStep(before, at.job)
    const byDelivery = at.delivery === null ? { rows: 0, next: null } : deliveryStep(before, at.delivery)
    const over = byJob.next === null && byDelivery.next === null
    return {
      rows: byJob.rows + byDelivery.rows,
      next: over ? null : { job: byJob.next, delivery: byDelivery.next },
    }
  }
}

type JobAge = {
  seq: number
  job_id: string
  first_delivery: number | null
  state: string
  created_at: number
  updated_at: number
}
type DeliveryAge = { seq: number; disposition: string; received_at: number; last_at: number }
