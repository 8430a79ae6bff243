import { randomBytes } from 'node:crypto'
import { isDeliveryPrunable } from '../deliveries.ts'
import type { Content, OperatorPause } from '../inbox.ts'
import {
  afterDelivery,
  afterErasure,
  afterPause,
  afterRequeue,
  afterReread,
  isInHand,
  isJobPrunable,
  requeuedAt,
} from '../transitions.ts'
import type { Transaction } from './lane.ts'
import { storable } from './rows.ts'
import { createWork, type Effects } from './work.ts'

/** What operators change, each in a transaction of its own. */

type Options = { readonly source: number; readonly now: number }
type Changing<T> = { readonly value: T; readonly effects: Effects }

/** Where a part of many jobs stands among them. `since`: when the first is due, ms. */
export type RequeuePart = { readonly first: number; readonly total: number; readonly since: number }

/** Queues these jobs again, those of them that still may be; they are the ones from `first` on of `total`. */
export async function requeueJobs(
  tx: Transaction,
  jobIds: readonly string[],
  refetch: boolean,
  part: RequeuePart,
  options: Options,
): Promise<Changing<number>> {
  const work = createWork(tx, options)
  await work.load(jobIds)
  let value = 0
  for (const [index, jobId] of jobIds.entries()) {
    const entry = work.find(jobId)
    const dueAt = requeuedAt(part.since, part.first + index, part.total)
    const changed = entry && afterRequeue(entry.job, refetch, dueAt, options.now)
    if (!changed) continue
    value++
    work.put(entry, changed)
  }
  await tx.commit(work.statements())
  return { value, effects: work.effects() }
}

const KEPT = 'SELECT seq, endpoint, disposition, body, is_later FROM delivery WHERE svix_id = $1 FOR UPDATE'
const ATTACH = `UPDATE delivery SET disposition = 'job', job_id = $2, status = $3, is_later = $4, rejected_reason = NULL WHERE seq = $1`
const MAKE_JOB = `INSERT INTO job (job_id, endpoint, announced_status, first_delivery, due_at, created_at, queued_at, updated_at)
  VALUES ($1, $2, $3, $4, $5::bigint, $5, $5, $5) ON CONFLICT (job_id) DO NOTHING RETURNING seq`

type KeptRow = {
  readonly seq: number
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly body: Buffer | null
}

/** A delivery is read again. */
export async function rereadDelivery(
  tx: Transaction,
  svixId: string,
  content: Content,
  options: Options,
): Promise<Changing<'job' | 'unchanged' | 'unknown'>> {
  const work = createWork(tx, options)
  const finish = async (value: 'job' | 'unchanged' | 'unknown') => {
    await tx.commit(work.statements())
    return { value, effects: work.effects() }
  }
  const [row] = await tx.query<KeptRow>(KEPT, [storable(svixId)])
  if (!row) return finish('unknown')
  const taken = afterReread(row, content)
  if (!taken) return finish('unchanged')
  const { jobId, status } = { jobId: storable(taken.jobId), status: storable(taken.status) }
  await work.load([jobId])
  let entry = work.find(jobId)
  const arrival = { jobId, status, endpoint: row.endpoint, number: row.seq, known: false }
  const isLater = entry !== null && entry.job.firstDelivery !== null
  work.also(ATTACH, [row.seq, jobId, status, isLater])
  if (!entry) {
    const made = await tx.query<{ seq: number }>(MAKE_JOB, [
      jobId,
      row.endpoint,
      status,
      row.seq,
      Math.round(options.now),
    ])
    if (made[0]) {
      work.created(made[0].seq, afterDelivery(null, arrival, options.now).job)
      work.countTransition(null, 'queued')
    } else {
      // Another replica made it meanwhile.
      await work.load([jobId])
      entry = work.find(jobId)
    }
  }
  if (entry) {
    work.put(entry, afterDelivery(entry.job, arrival, options.now))
    if (entry.job.endpoint !== row.endpoint) work.addEndpoint(jobId, row.endpoint)
  }
  work.count(`delivery:${row.disposition}`, -1)
  work.count('delivery:job', 1)
  return finish('job')
}

const ERASE = [
  'UPDATE delivery SET body = NULL WHERE seq = (SELECT first_delivery FROM job WHERE seq = $1)',
  'UPDATE delivery SET body = NULL WHERE is_later AND job_id = (SELECT job_id FROM job WHERE seq = $1)',
  'DELETE FROM attempt WHERE job_seq = $1',
  'DELETE FROM side_files WHERE job_seq = $1',
]

export async function eraseJob(
  tx: Transaction,
  jobId: string,
  options: Options,
): Promise<Changing<'erased' | 'running' | 'unknown'>> {
  const work = createWork(tx, options)
  await work.load([jobId])
  const entry = work.find(jobId)
  const finish = async (value: 'erased' | 'running' | 'unknown') => {
    await tx.commit(work.statements())
    return { value, effects: work.effects() }
  }
  if (!entry) return finish('unknown')
  if (isInHand(entry.job, entry.sideFiles)) return finish('running')
  for (const text of ERASE) work.also(text, [entry.seq])
  work.put(entry, { job: afterErasure(entry.job, options.now), dropsSideFiles: false })
  return finish('erased')
}

/** Returns the pause that holds from now on. */
export async function setPause(
  tx: Transaction,
  on: boolean,
  reason: string | null,
  now: number,
): Promise<OperatorPause | null> {
  if (!on) {
    await tx.commit([{ text: 'DELETE FROM operator_pause', values: [] }])
    return null
  }
  const [was] = await tx.query<OperatorPause>('SELECT since, reason FROM operator_pause FOR UPDATE')
  const pause = afterPause(was ?? null, storable(reason), Math.round(now))
  await tx.commit([
    {
      text: `INSERT INTO operator_pause (id, since, reason) VALUES (1, $1::bigint, $2)
             ON CONFLICT (id) DO UPDATE SET reason = excluded.reason`,
      values: [pause.since, pause.reason],
    },
  ])
  return pause
}

export async function linkKeyOf(tx: Transaction): Promise<Buffer> {
  await tx.query(`INSERT INTO secret (name, value) VALUES ('links', $1) ON CONFLICT (name) DO NOTHING`, [
    randomBytes(32),
  ])
  const [row] = await tx.query<{ value: Buffer }>(`SELECT value FROM secret WHERE name = 'links'`)
  return row!.value
}

/** Rows per step, so that nobody waits long for their locks. */
const PRUNE_STEP = 500

/** The position of a walk; null when it has seen everything that is old enough. */
export type PruneCursor = { readonly job: number | null; readonly delivery: number | null }

const OLD_JOBS = `
  SELECT seq, job_id AS "jobId", first_delivery AS "firstDelivery", state, created_at AS "createdAt", updated_at AS "updatedAt"
  FROM job WHERE seq > $1 ORDER BY seq LIMIT ${PRUNE_STEP}`
const OLD_DELIVERIES = `
  SELECT seq, disposition, received_at AS "receivedAt", last_at AS "lastAt" FROM delivery WHERE seq > $1 ORDER BY seq LIMIT ${PRUNE_STEP}`
const DROP_JOBS = [
  'DELETE FROM job_endpoint WHERE job_id = ANY($1::text[])',
  'DELETE FROM attempt WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM side_files WHERE job_seq IN (SELECT seq FROM job WHERE job_id = ANY($1::text[]))',
  'DELETE FROM job WHERE job_id = ANY($1::text[])',
]

type JobAge = Parameters<typeof isJobPrunable>[0] & { seq: number; jobId: string }
type DeliveryAge = Parameters<typeof isDeliveryPrunable>[0] & { seq: number }

/** Deletes a step of what is older than `before`. Rows are in order of time: the walk ends at the first younger row. */
export async function pruneStep(tx: Transaction, before: number, at: PruneCursor, options: Options) {
  const work = createWork(tx, options)
  const jobs = at.job === null ? [] : await tx.query<JobAge>(OLD_JOBS, [at.job])
  const deliveries = at.delivery === null ? [] : await tx.query<DeliveryAge>(OLD_DELIVERIES, [at.delivery])
  const old = jobs.filter((job) => isJobPrunable(job, before)).map(({ jobId }) => jobId)
  // Deliveries before jobs, as everywhere.
  const others = deliveries.filter((one) => isDeliveryPrunable(one, before)).map(({ seq }) => seq)
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
    rows: dropped.length + goneJobs.jobs.length,
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

/** A delivery may have come meanwhile: what is deleted is locked and looked at once more. */
async function dropJobs(tx: Transaction, jobIds: readonly string[], before: number) {
  const deliveries = await tx.query(
    `SELECT d.seq FROM job JOIN delivery AS d ON d.seq = job.first_delivery OR (d.is_later AND d.job_id = job.job_id)
     WHERE job.job_id = ANY($1::text[]) ORDER BY d.svix_id FOR UPDATE OF d SKIP LOCKED`,
    [jobIds],
  )
  const locked = await tx.query<{ job_id: string }>(
    `SELECT job_id FROM job WHERE job_id = ANY($1::text[]) AND state = 'done' AND updated_at < $2::bigint ORDER BY job_id FOR UPDATE`,
    [jobIds, Math.round(before)],
  )
  const gone = locked.map(({ job_id }) => job_id)
  if (gone.length === 0 || deliveries.length === 0) return { jobs: [], deliveries: 0 }
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
