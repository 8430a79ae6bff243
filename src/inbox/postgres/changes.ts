import { randomBytes } from 'node:crypto'
import type { Content, OperatorPause } from '../inbox.ts'
import {
  afterDelivery,
  afterErasure,
  afterPause,
  afterRequeue,
  afterReread,
  isInHand,
  requeuedAt,
} from '../transitions.ts'
import { decidesEndpoint } from './accept.ts'
import { insertJob } from './expected.ts'
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
  {
    refetch,
    part,
    action,
  }: { readonly refetch: boolean; readonly part: RequeuePart; readonly action?: number | undefined },
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
    work.link(entry, action)
  }
  await tx.commit(work.statements())
  return { value, effects: work.effects() }
}

const KEPT = 'SELECT seq, endpoint, disposition, body, is_later FROM delivery WHERE svix_id = $1 FOR UPDATE'
const ATTACH = `UPDATE delivery SET disposition = 'job', job_id = $2, status = $3, is_later = $4, rejected_reason = NULL WHERE seq = $1`
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
  action: number | undefined,
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
  const arrival = {
    jobId,
    status,
    endpoint: row.endpoint,
    number: row.seq,
    known: false,
    decidesEndpoint: decidesEndpoint(entry),
  }
  const isLater = entry !== null && entry.job.firstDelivery !== null
  work.also(ATTACH, [row.seq, jobId, status, isLater])
  if (!entry) {
    const { job } = afterDelivery(null, arrival, options.now)
    const seq = await insertJob(tx, job)
    if (seq !== null) {
      work.created(seq, job)
      work.countTransition(null, job.progress)
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
  work.link(work.find(jobId)!, action)
  work.count(`delivery:${row.disposition}`, -1)
  work.count('delivery:job', 1)
  return finish('job')
}

/** Deliveries before jobs, and in the order of their ids, as an accept locks them: none waits for the other. */
const LOCK_DELIVERIES = `
  SELECT d.seq FROM job JOIN delivery AS d ON d.seq = job.first_delivery OR (d.is_later AND d.job_id = job.job_id)
  WHERE job.job_id = $1 ORDER BY d.svix_id FOR UPDATE OF d`
const ERASE = [
  'UPDATE delivery SET body = NULL WHERE seq = (SELECT first_delivery FROM job WHERE seq = $1)',
  'UPDATE delivery SET body = NULL WHERE is_later AND job_id = (SELECT job_id FROM job WHERE seq = $1)',
  'DELETE FROM attempt WHERE job_seq = $1',
  'DELETE FROM side_files WHERE job_seq = $1',
  'UPDATE registration SET body = NULL WHERE job_seq = $1',
]

export async function eraseJob(
  tx: Transaction,
  jobId: string,
  action: number | undefined,
  options: Options,
): Promise<Changing<'erased' | 'running' | 'unknown'>> {
  const work = createWork(tx, options)
  await tx.query(LOCK_DELIVERIES, [jobId])
  await work.load([storable(jobId)])
  const entry = work.find(storable(jobId))
  const finish = async (value: 'erased' | 'running' | 'unknown') => {
    await tx.commit(work.statements())
    return { value, effects: work.effects() }
  }
  if (!entry) return finish('unknown')
  if (isInHand(entry.job, entry.sideFiles)) return finish('running')
  for (const text of ERASE) work.also(text, [entry.seq])
  work.put(entry, { job: afterErasure(entry.job, options.now), dropsSideFiles: false })
  work.link(entry, action)
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
