import { afterExpect, afterMissed } from '../after-expected.ts'
import { type Found, type Overdue, type Registration, registeredBody } from '../expected.ts'
import type { StoredJob } from '../transitions.ts'
import type { Lane, Transaction } from './lane.ts'
import { storable } from './rows.ts'
import { createWork, type Effects } from './work.ts'

/** Jobs that no delivery has announced. */

type Options = { readonly source: number; readonly now: number }
type Changing<T> = { readonly value: T; readonly effects: Effects }

const INSERT_JOB = `
  INSERT INTO job (job_id, state, endpoint, announced_status, first_delivery, round, due_at, created_at, queued_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7::bigint, $7, $7, $7) ON CONFLICT (job_id) DO NOTHING RETURNING seq`

/** Inserts a job that is due now; null when another replica has done so meanwhile. */
export async function insertJob(tx: Transaction, job: StoredJob): Promise<number | null> {
  const { jobId, progress, endpoint, announced, firstDelivery, round, createdAt } = job
  const [row] = await tx.query<{ seq: number }>(INSERT_JOB, [
    ...[storable(jobId), progress.state, storable(endpoint), storable(announced), firstDelivery, round],
    Math.round(createdAt),
  ])
  return row?.seq ?? null
}

/** What is not given anew stays. */
const REGISTER = `
  INSERT INTO registration (job_seq, endpoint, body, registered_by, registered_at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (job_seq) DO UPDATE SET endpoint = coalesce(excluded.endpoint, registration.endpoint),
    body = coalesce(excluded.body, registration.body)`

export async function expectJob(
  tx: Transaction,
  jobId: string,
  { endpoint, metadata, by }: Registration,
  options: Options,
): Promise<Changing<'expected' | 'known'>> {
  const given = { ...(endpoint === undefined ? {} : { endpoint: storable(endpoint) }), by }
  const body = registeredBody(jobId, metadata)
  const text = body === null ? null : Buffer.from(body)
  return change(tx, jobId, options, {
    after: (job) => {
      const next = afterExpect(job, storable(jobId), given, options.now)
      return next && { job: next, dropsSideFiles: false }
    },
    also: (seq) => [
      { text: REGISTER, values: [seq, given.endpoint ?? null, text, storable(by), Math.round(options.now)] },
    ],
    done: 'expected',
  })
}

export function missedJob(
  tx: Transaction,
  jobId: string,
  found: Found,
  options: Options,
): Promise<Changing<'queued' | 'known'>> {
  return change(tx, jobId, options, {
    after: (job) => afterMissed(job, storable(jobId), found, options.now),
    also: () => [],
    done: 'queued',
  })
}

type Step<Done> = {
  readonly after: (job: StoredJob | null) => { readonly job: StoredJob; readonly dropsSideFiles: boolean } | null
  readonly also: (seq: number) => readonly { readonly text: string; readonly values: readonly unknown[] }[]
  readonly done: Done
}

async function change<Done extends string>(
  tx: Transaction,
  jobId: string,
  options: Options,
  { after, also, done }: Step<Done>,
): Promise<Changing<Done | 'known'>> {
  const work = createWork(tx, options)
  await work.load([storable(jobId)])
  const found = work.find(storable(jobId))
  const changed = after(found?.job ?? null)
  if (changed === null) {
    await tx.commit()
    return { value: 'known', effects: work.effects() }
  }
  let seq = found?.seq ?? null
  if (found) work.put(found, changed)
  else {
    seq = await insertJob(tx, changed.job)
    // The other replica's word counts, as if it had come first; whoever asked may ask again.
    if (seq === null) throw new Error(`${jobId} was recorded by another service meanwhile`)
    work.created(seq, changed.job)
    work.countTransition(null, changed.job.progress)
  }
  for (const { text, values } of also(seq!)) work.also(text, values)
  await tx.commit(work.statements())
  return { value: done, effects: work.effects() }
}

/** When the service looked after its jobs last, ms; notes that it does now. */
export async function noteLook(tx: Transaction, now: number): Promise<number | null> {
  const [before] = await tx.query<{ value: number }>(
    `SELECT value FROM counter WHERE name = 'looked_at' AND source = 0 FOR UPDATE`,
    [],
  )
  await tx.commit([
    {
      text: `INSERT INTO counter (name, source, value) VALUES ('looked_at', 0, $1::bigint)
             ON CONFLICT (name, source) DO UPDATE SET value = excluded.value`,
      values: [Math.round(now)],
    },
  ])
  return before?.value ?? null
}

const OVERDUE = `
  SELECT seq, job_id AS "jobId", created_at AS "createdAt" FROM job WHERE state = 'expected' AND created_at < $1::bigint
    AND (created_at, seq) > (coalesce((SELECT created_at FROM job WHERE seq = $2::bigint), -1), CASE WHEN EXISTS (SELECT 1 FROM job WHERE seq = $2) THEN $2 ELSE -1 END)
  ORDER BY created_at, seq LIMIT $3::integer`
const OVERDUE_TOTAL = `SELECT count(*) AS total FROM job WHERE state = 'expected' AND created_at < $1::bigint`

export async function overdueJobs(lane: Lane, before: number, limit: number, after = 0): Promise<Overdue> {
  const at = Math.round(before)
  const [rows, total] = await lane.transaction((tx) =>
    tx.all([
      { text: OVERDUE, values: [at, after, limit] },
      { text: OVERDUE_TOTAL, values: [at] },
    ]),
  )
  const found = rows as { seq: number; jobId: string; createdAt: number }[]
  return {
    jobs: found.map(({ jobId, createdAt }) => ({ jobId, createdAt })),
    total: total![0]!.total as number,
    next: found.length === limit ? (found.at(-1)?.seq ?? null) : null,
  }
}
