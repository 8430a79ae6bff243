import type { DatabaseSync } from 'node:sqlite'
import type { JobState } from '../../job.ts'
import { areBodiesPrunable } from '../deliveries.ts'

/** Rows per step, so that accepts are not delayed. */
const STEP = 500

/** The position of a walk; null when it has seen everything that is old enough. */
export type BodiesCursor = {
  readonly delivery: number | null
  readonly attempts: number | null
  readonly registrations: number | null
}

/**
 * Deletes bodies, and the texts of attempts, whose time is over, step by step, and keeps all ids. Each walk is through what
 * still has one, so that what was cleared is not looked at again: what stays behind are jobs that are not done.
 */
export function createPruneBodies(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  // The job's row is looked up only for what is old enough by itself.
  const bodies = p(
    `SELECT delivery.seq, job_id AS jobId, received_at AS receivedAt, last_at AS lastAt
     FROM delivery_body JOIN delivery USING (seq) WHERE delivery_body.seq > :after ORDER BY delivery_body.seq LIMIT ${STEP}`,
  )
  const job = p('SELECT state, updated_at AS updatedAt FROM job WHERE job_id = :jobId')
  const deleteBody = p('DELETE FROM delivery_body WHERE seq = :seq')
  const texts = p(
    `SELECT DISTINCT job_seq AS seq FROM attempt WHERE reason_message <> '' AND job_seq > :after ORDER BY job_seq LIMIT ${STEP}`,
  )
  const isPast = p(`SELECT 1 FROM job WHERE seq = :seq AND state = 'done' AND updated_at < :before`)
  const clearTexts = p(`UPDATE attempt SET reason_message = '' WHERE job_seq = :seq AND reason_message <> ''`)

  function bodyStep(before: number, after: number): Step {
    const found = bodies.all({ after }) as BodyAge[]
    let rows = 0
    for (const body of found) {
      if (body.receivedAt >= before) return { rows, next: null }
      const owner = body.jobId === null ? undefined : (job.get({ jobId: body.jobId }) as JobAge | undefined)
      if (!areBodiesPrunable(body, owner ?? null, before)) continue
      deleteBody.run({ seq: body.seq })
      rows++
    }
    return { rows, next: found.length === STEP ? found.at(-1)!.seq : null }
  }

  const registered = p(
    `SELECT job_seq AS seq FROM registration WHERE body IS NOT NULL AND job_seq > :after ORDER BY job_seq LIMIT ${STEP}`,
  )
  const clearRegistered = p('UPDATE registration SET body = NULL WHERE job_seq = :seq')

  function registeredStep(before: number, after: number): Step {
    const found = registered.all({ after }) as { seq: number }[]
    const past = found.filter(({ seq }) => isPast.get({ seq, before }) !== undefined)
    for (const { seq } of past) clearRegistered.run({ seq })
    return { rows: past.length, next: found.length === STEP ? found.at(-1)!.seq : null }
  }

  function textStep(before: number, after: number): Step {
    const found = texts.all({ after }) as { seq: number }[]
    let rows = 0
    for (const { seq } of found)
      if (isPast.get({ seq, before }) !== undefined) rows += Number(clearTexts.run({ seq }).changes)
    return { rows, next: found.length === STEP ? found.at(-1)!.seq : null }
  }

  return {
    pruneBodies(before: number, at: BodiesCursor): { rows: number; next: BodiesCursor | null } {
      const byBody = at.delivery === null ? OVER : bodyStep(before, at.delivery)
      const byText = at.attempts === null ? OVER : textStep(before, at.attempts)
      const byRegistered = at.registrations === null ? OVER : registeredStep(before, at.registrations)
      const next = { delivery: byBody.next, attempts: byText.next, registrations: byRegistered.next }
      const over = Object.values(next).every((one) => one === null)
      return { rows: byBody.rows + byText.rows + byRegistered.rows, next: over ? null : next }
    },
  }
}

type Step = { readonly rows: number; readonly next: number | null }
const OVER: Step = { rows: 0, next: null }

type BodyAge = { seq: number; jobId: string | null; receivedAt: number; lastAt: number }
type JobAge = { state: JobState; updatedAt: number }
