import { furthestDue } from '../../backoff.ts'
import { afterDeath, sideFilesAfterDeath } from '../transitions.ts'
import { hasLiveHolder, LANES } from './candidates.ts'
import type { Transaction } from './lane.ts'
import { JOB_COLUMNS, type JobTableRow } from './rows.ts'
import { createWork, type Effects } from './work.ts'

/** Jobs taken over in one transaction. */
const STEP = 500

/** $1 says which: those of nobody alive, or what this replica holds and does not know of. */
const running = (which: string) => `
  SELECT ${JOB_COLUMNS}, coalesce((SELECT stop_asked FROM replica WHERE id = job.holder), false) AS asked
  FROM job WHERE state = 'running' AND ${which} ORDER BY job_id LIMIT ${STEP} FOR UPDATE SKIP LOCKED`
const runningSideFiles = (which: string) => `
  SELECT job_id, coalesce((SELECT stop_asked FROM replica WHERE id = side_files.holder), false) AS asked
  FROM side_files JOIN job ON job.seq = job_seq
  WHERE is_running AND ${which} ORDER BY job_id LIMIT ${STEP} FOR UPDATE SKIP LOCKED`

const OF_NOBODY = { jobs: `NOT ${hasLiveHolder('job.holder')}`, sideFiles: `NOT ${hasLiveHolder('side_files.holder')}` }
const UNKNOWN = {
  jobs: 'holder = $1::bigint AND NOT token = ANY($2::bigint[])',
  sideFiles: 'side_files.holder = $1::bigint AND NOT side_files.token = ANY($2::bigint[])',
}

export type Orphans =
  /** What replicas that ended, or were declared dead, had in hand: crashed, unless a stop had been asked for. */
  | { readonly of: 'nobody' }
  /** What this replica holds without knowing: the answer to a claim was lost. Nothing has crashed. */
  | { readonly of: 'unknown'; readonly replica: number; readonly known: readonly number[] }

/** Queues what nobody works on any more. Returns how many jobs and tries at side files that were. */
export async function takeOver(
  tx: Transaction,
  orphans: Orphans,
  options: { readonly source: number; readonly now: number },
): Promise<{ readonly rows: number; readonly effects: Effects }> {
  const which = orphans.of === 'nobody' ? OF_NOBODY : UNKNOWN
  const values = orphans.of === 'nobody' ? [] : [orphans.replica, orphans.known]
  const work = createWork(tx, options)
  const jobs = await tx.query<JobTableRow & { asked: boolean }>(running(which.jobs), values)
  const others = await tx.query<{ job_id: string; asked: boolean }>(runningSideFiles(which.sideFiles), values)
  await work.load([...jobs, ...others].map(({ job_id }) => job_id).sort())
  for (const { job_id: jobId, asked } of jobs) {
    const entry = work.find(jobId)
    if (entry?.job.progress.state !== 'running') continue
    const { job, attempt } = afterDeath(entry.job, asked || orphans.of === 'unknown', options.now)
    if (attempt) work.noteAttempt(entry, job.token, attempt)
    work.put(entry, { job, dropsSideFiles: false })
  }
  for (const { job_id: jobId, asked } of others) {
    const entry = work.find(jobId)
    if (!entry?.sideFiles?.isRunning) continue
    const { next, attempt } = sideFilesAfterDeath(entry.sideFiles, asked || orphans.of === 'unknown', options.now)
    if (attempt) work.noteAttempt(entry, entry.sideFiles.token, attempt)
    work.putSideFiles(entry, next)
    work.wakeAll()
  }
  const rows = jobs.length + others.length
  // Both stages: a job that must run alone may have been among them.
  if (rows > 0) work.wakeAll()
  await tx.commit(work.statements())
  return { rows, effects: work.effects() }
}

const LAST_DUE = `
  WITH ${LANES}
  SELECT greatest(
    (SELECT max(last.due_at) FROM lane, (VALUES (false), (true)) AS retry (is_retry), LATERAL
       (SELECT max(job.due_at) AS due_at FROM job WHERE state = 'queued' AND crashes < 2 AND stage = lane.stage
          AND endpoint = lane.endpoint AND job.is_retry = retry.is_retry) AS last),
    (SELECT max(due_at) FROM job WHERE state = 'queued' AND crashes >= 2)) AS due_at`

/** Moves due times back that a clock that jumped back has left too far ahead. Returns whether it moved any. */
export async function clampDue(tx: Transaction, now: number): Promise<boolean> {
  const furthest = Math.round(furthestDue(now))
  const [last] = await tx.query<{ due_at: number | null }>(LAST_DUE)
  const moved = [
    ...(await tx.query(
      'UPDATE side_files SET due_at = $1::bigint WHERE NOT is_running AND due_at > $1 RETURNING job_seq',
      [furthest],
    )),
    ...((last!.due_at ?? 0) > furthest
      ? await tx.query(`UPDATE job SET due_at = $1::bigint WHERE state = 'queued' AND due_at > $1 RETURNING seq`, [
          furthest,
        ])
      : []),
  ]
  return moved.length > 0
}
