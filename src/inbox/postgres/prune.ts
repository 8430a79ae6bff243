import { areBodiesPrunable, isDeliveryPrunable } from '../deliveries.ts'
import type { Content } from '../inbox.ts'
import { countsKeptFrom } from '../journal.ts'
import { isJobPrunable } from '../transitions.ts'
import type { Transaction } from './lane.ts'
import { createWork } from './work.ts'

type Options = { readonly source: number; readonly now: number }

/** Rows per step, so that nobody waits long for their locks. */
const PRUNE_STEP = 500

/** The position of a walk; null when it has seen everything that is old enough. */
export type PruneCursor = {
  readonly job: number | null
  readonly delivery: number | null
  /** Nothing has been looked at yet. */
  readonly isFirst?: boolean
}

const OLD_JOBS = `
  SELECT seq, job_id AS "jobId", first_delivery AS "firstDelivery", state, created_at AS "createdAt", updated_at AS "updatedAt"
  FROM job WHERE seq > $1 ORDER BY seq LIMIT ${PRUNE_STEP}`
const OLD_DELIVERIES = `
  SELECT seq, disposition, received_at AS "receivedAt", last_at AS "lastAt" FROM delivery WHERE seq > $1 ORDER BY seq LIMIT ${PRUNE_STEP}`
/** $1: deliveries that concern no job, $2: jobs. Both kinds in one order. */
const LOCK_DELIVERIES = `
  SELECT seq FROM delivery WHERE seq = ANY(ARRAY(
    SELECT unnest($1::bigint[]) UNION ALL SELECT first_delivery FROM job WHERE job_id = ANY($2::text[])
    UNION ALL SELECT seq FROM delivery WHERE is_later AND job_id = ANY($2)))
  ORDER BY svix_id FOR UPDATE`
const DROP_JOBS = [
  'DELETE FROM job_endpoint WHERE job_id = ANY($1::text[])',
  'DELETE FROM action_job WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM registration WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM attempt WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM side_files WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM job WHERE job_id = ANY($1::text[])',
]

type JobAge = Parameters<typeof isJobPrunable>[0] & { seq: number; jobId: string }
type DeliveryAge = Parameters<typeof isDeliveryPrunable>[0] & { seq: number }

/** Deletes a step of what is older than `before`. Rows are in order of time: the walk ends at the first younger row. */
export async function pruneStep(tx: Transaction, before: number, at: PruneCursor, options: Options) {
  const work = createWork(tx, options)
  const noted = at.isFirst ? await pruneNotes(tx, before, options.now) : 0
  const jobs = at.job === null ? [] : await tx.query<JobAge>(OLD_JOBS, [at.job])
  const deliveries = at.delivery === null ? [] : await tx.query<DeliveryAge>(OLD_DELIVERIES, [at.delivery])
  const old = jobs.filter((job) => isJobPrunable(job, before)).map(({ jobId }) => jobId)
  const others = deliveries.filter((one) => isDeliveryPrunable(one, before)).map(({ seq }) => seq)
  // Deliveries before jobs, and in the order of their ids, as everywhere.
  if (old.length + others.length > 0) await tx.query(LOCK_DELIVERIES, [others, old])
  const dropped = await dropOthers(tx, others, before)
  for (const disposition of dropped) work.count(`delivery:${disposition}`, -1)
  const goneJobs = old.length > 0 ? await dropJobs(tx, old, before) : { jobs: [], deliveries: 0 }
  work.count('delivery:job', -goneJobs.deliveries)
  work.count('job:done', -goneJobs.jobs.length)
  await tx.commit(work.statements())
  const next = {
    job: nextOf(jobs, (job) => job.createdAt < before),
    delivery: nextOf(deliveries, (delivery) => delivery.receivedAt < before),
  }
  return {
    rows: noted + dropped.length + goneJobs.jobs.length,
    next: next.job === null && next.delivery === null ? null : next,
  }
}

async function dropOthers(tx: Transaction, seqs: readonly number[], before: number): Promise<Content['is'][]> {
  if (seqs.length === 0) return []
  const rows = await tx.query<{ disposition: Content['is'] }>(
    `DELETE FROM delivery WHERE seq = ANY($1::bigint[]) AND disposition <> 'job' AND last_at < $2::bigint RETURNING disposition`,
    [seqs, Math.round(before)],
  )
  return rows.map(({ disposition }) => disposition)
}

/** A delivery may have come meanwhile: what is deleted is locked, deliveries before, and looked at once more. */
async function dropJobs(tx: Transaction, jobIds: readonly string[], before: number) {
  const locked = await tx.query<{ job_id: string }>(
    `SELECT job_id FROM job WHERE job_id = ANY($1::text[]) AND state = 'done' AND updated_at < $2::bigint ORDER BY job_id FOR UPDATE`,
    [jobIds, Math.round(before)],
  )
  const gone = locked.map(({ job_id }) => job_id)
  if (gone.length === 0) return { jobs: [], deliveries: 0 }
  const rows = await tx.query(
    `DELETE FROM delivery USING job WHERE job.job_id = ANY($1::text[])
       AND (delivery.seq = job.first_delivery OR (delivery.is_later AND delivery.job_id = job.job_id)) RETURNING delivery.seq`,
    [gone],
  )
  await tx.all(DROP_JOBS.map((text) => ({ text, values: [gone] })))
  return { jobs: gone, deliveries: rows.length }
}

/** The position where a walk continues; null when it has reached the first row that is too young, or the end. */
function nextOf<Row extends { seq: number }>(found: readonly Row[], isOld: (row: Row) => boolean): number | null {
  return found.length === PRUNE_STEP && found.every(isOld) ? found.at(-1)!.seq : null
}

/** A look once an hour finds few: an hour's counts, and what people did then. */
async function pruneNotes(tx: Transaction, before: number, now: number): Promise<number> {
  const kept = countsKeptFrom(now)
  const [gone] = await tx.all([
    { text: 'DELETE FROM action WHERE at < $1::bigint RETURNING seq', values: [Math.round(before)] },
    { text: 'DELETE FROM minute WHERE at < $1::bigint', values: [Math.round(kept.minute)] },
    { text: 'DELETE FROM hour WHERE at < $1::bigint', values: [Math.round(kept.hour)] },
  ])
  return gone!.length
}

/** The position of a walk through what still has a body, or a text; null when it has seen all that is old enough. */
export type BodiesCursor = { readonly delivery: number | null; readonly attempts: number | null }

const BODIES = `
  SELECT seq, job_id AS "jobId", received_at AS "receivedAt", last_at AS "lastAt",
    (SELECT json_build_object('state', state, 'updatedAt', updated_at) FROM job WHERE job.job_id = delivery.job_id) AS job
  FROM delivery WHERE seq > $1 AND body IS NOT NULL ORDER BY seq LIMIT ${PRUNE_STEP}`
const TEXTS = `
  SELECT DISTINCT job_seq AS seq FROM attempt WHERE reason_message <> '' AND job_seq > $1 ORDER BY job_seq LIMIT ${PRUNE_STEP}`
/** Locked in the order of their ids, as everywhere. */
const CLEAR_BODIES = `
  WITH old AS MATERIALIZED (SELECT seq FROM delivery WHERE seq = ANY($1::bigint[]) ORDER BY svix_id FOR UPDATE)
  UPDATE delivery SET body = NULL FROM old WHERE delivery.seq = old.seq AND last_at < $2::bigint RETURNING delivery.seq`
const CLEAR_TEXTS = `
  UPDATE attempt SET reason_message = '' FROM job WHERE job.seq = job_seq AND job_seq = ANY($1::bigint[])
    AND attempt.reason_message <> '' AND job.state = 'done' AND job.updated_at < $2::bigint RETURNING job_seq`

const CLEAR_REGISTRATIONS = `
  UPDATE registration SET body = NULL FROM job WHERE job.seq = job_seq AND registration.body IS NOT NULL
    AND job.state = 'done' AND job.updated_at < $1::bigint RETURNING job_seq`

type BodyAge = Parameters<typeof areBodiesPrunable>[0] & {
  readonly seq: number
  readonly job: Parameters<typeof areBodiesPrunable>[1]
}

/** Deletes bodies, and the texts of attempts, whose time is over, a step of each, and keeps all ids. */
export async function pruneBodiesStep(tx: Transaction, before: number, at: BodiesCursor) {
  const bodies = at.delivery === null ? [] : await tx.query<BodyAge>(BODIES, [at.delivery])
  const texts = at.attempts === null ? [] : await tx.query<{ seq: number }>(TEXTS, [at.attempts])
  const old = bodies.filter((one) => areBodiesPrunable(one, one.job, before)).map(({ seq }) => seq)
  const [gone, cleared, registered] = await tx.commit([
    {
      text: CLEAR_BODIES,
      values: [old, Math.round(before)],
    },
    { text: CLEAR_TEXTS, values: [texts.map(({ seq }) => seq), Math.round(before)] },
    { text: CLEAR_REGISTRATIONS, values: [Math.round(before)] },
  ])
  const next: BodiesCursor = {
    delivery: nextOf(bodies, ({ receivedAt }) => receivedAt < before),
    attempts: nextOf(texts, () => true),
  }
  const isOver = next.delivery === null && next.attempts === null
  return { rows: gone!.length + cleared!.length + registered!.length, next: isOver ? null : next }
}
