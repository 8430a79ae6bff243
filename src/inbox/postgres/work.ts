import type { JobProgress, SideFilesProgress, Stage } from '../../job.ts'
import type { ClaimId, NewAttempt } from '../inbox.ts'
import { ACTIONS_KEPT } from '../journal.ts'
import {
  ATTEMPTS_KEPT,
  type Changed,
  isHeld,
  progressOf,
  type StoredJob,
  type StoredSideFiles,
} from '../transitions.ts'
import type { Queued } from '../wake-up.ts'
import type { Statement, Transaction } from './lane.ts'
import {
  attemptColumns,
  CHANGING_COLUMNS,
  columnsOf,
  JOB_COLUMNS,
  type JobTableRow,
  type SideFilesRow,
  storedJobOf,
  storedSideFilesOf,
} from './rows.ts'

/** A job that this transaction has locked, and what it has become. */
export type Entry = {
  readonly seq: number
  readonly was: StoredJob
  job: StoredJob
  sideFiles: StoredSideFiles | null
  /** It is expected, and nobody said at which endpoint: its first delivery does. */
  readonly isEndpointUnsaid: boolean
}

/** What a transaction has queued: by stage, whether something is due now, and when the first of the rest is. */
export type Effects = { readonly queued: Queued; readonly dueAt: Readonly<Record<Stage, number | null>> }

/** Counter of the queued jobs that wait to be handed over; the other queued ones wait to be fetched. */
export const HAND_OVER = 'queued:hand_over'

type Standing = Pick<JobProgress, 'state' | 'stage'>

const waitsForHandOver = (job: Standing | null) => job?.state === 'queued' && job.stage === 'hand_over'

/** What one transaction changes of jobs: read with a lock, changed in memory, written together at its end. */
export type Work = ReturnType<typeof createWork>

/** Jobs are locked in the order of their ids, everywhere: no two transactions wait for each other. */
const LOCK_JOBS = `SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ANY($1::text[]) ORDER BY job_id FOR UPDATE`
/** A statement of its own: it must see what was committed while the lock was waited for. */
const SIDE_FILES_OF = `SELECT side_files.* FROM side_files JOIN job ON job.seq = job_seq WHERE job_id = ANY($1::text[])`

const UNSAID = 'SELECT job_seq FROM registration WHERE job_seq = ANY($1::bigint[]) AND endpoint IS NULL'
const SAVE_JOBS = `UPDATE job SET ${CHANGING_COLUMNS.map((name) => `${name} = c.${name}`).join(', ')},
    holder = CASE WHEN c.state = 'running' THEN job.holder END
  FROM json_populate_recordset(NULL::job, $1::json) AS c WHERE job.seq = c.seq`
const PUT_SIDE_FILES = `INSERT INTO side_files (job_seq, failures, crashes, due_at, spent)
  SELECT job_seq, failures, crashes, due_at, spent FROM json_populate_recordset(NULL::side_files, $1::json)
  ON CONFLICT (job_seq) DO UPDATE SET failures = excluded.failures, crashes = excluded.crashes, due_at = excluded.due_at,
    spent = excluded.spent, is_running = false, holder = NULL`
const DROP_SIDE_FILES = 'DELETE FROM side_files WHERE job_seq = ANY($1::bigint[])'
const NOTE_ATTEMPTS = `INSERT INTO attempt
  SELECT * FROM json_populate_recordset(NULL::attempt, $1::json)
  ON CONFLICT (job_seq, token) DO NOTHING`
const LINK_ACTIONS = `INSERT INTO action_job
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[]) ORDER BY 1, 2
  ON CONFLICT (job_seq, action_seq) DO UPDATE SET round = excluded.round`
const DROP_OLD_LINKS = `DELETE FROM action_job USING unnest($1::bigint[]) AS of (seq)
  WHERE job_seq = of.seq AND action_seq <=
    (SELECT action_seq FROM action_job AS old WHERE old.job_seq = of.seq ORDER BY action_seq DESC LIMIT 1 OFFSET ${ACTIONS_KEPT})`
const DROP_OLD_ATTEMPTS = `DELETE FROM attempt USING unnest($1::bigint[]) AS of (seq)
  WHERE job_seq = of.seq AND token <=
    (SELECT token FROM attempt AS old WHERE old.job_seq = of.seq ORDER BY token DESC LIMIT 1 OFFSET ${ATTEMPTS_KEPT})`
const ADD_ENDPOINTS = `INSERT INTO job_endpoint SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING`
/** A counter has a row for each replica and lane: one row for all would make every commit wait for the last one's sync. */
const COUNT = `INSERT INTO counter (name, source, value) SELECT name, $1, value FROM unnest($2::text[], $3::bigint[]) AS c (name, value)
  ORDER BY name
  ON CONFLICT (name, source) DO UPDATE SET value = counter.value + excluded.value`

/** `source`: the number under which this replica's lane counts. `now`: the time of the change, ms. */
export function createWork(tx: Transaction, { source, now }: { readonly source: number; readonly now: number }) {
  const entries = new Map<string, Entry>()
  const putBack = new Map<number, SideFilesProgress | null>()
  const attempts: { readonly job_seq: number }[] = []
  const endpoints: { jobId: string; endpoint: string }[] = []
  const links: { seq: number; action: number; round: number }[] = []
  const counts = new Map<string, number>()
  const more: Statement[] = []
  const queued: Record<Stage, boolean> = { fetch: false, hand_over: false }
  const dueAt: Record<Stage, number | null> = { fetch: null, hand_over: null }

  function count(name: string, by: number): void {
    counts.set(name, (counts.get(name) ?? 0) + by)
  }

  function countTransition(from: Standing | null, to: Standing | null): void {
    count(HAND_OVER, Number(waitsForHandOver(to)) - Number(waitsForHandOver(from)))
    if (from?.state === to?.state) return
    if (from) count(`job:${from.state}`, -1)
    if (to) count(`job:${to.state}`, 1)
  }

  /** Locks these jobs, and reads them with their side files. Those that are not there are left out. */
  async function load(jobIds: readonly string[]): Promise<void> {
    const wanted = [...new Set(jobIds)].filter((jobId) => !entries.has(jobId))
    if (wanted.length === 0) return
    const [jobs, sideFiles] = await tx.all([
      { text: LOCK_JOBS, values: [wanted] },
      { text: SIDE_FILES_OF, values: [wanted] },
    ])
    const expected = (jobs as JobTableRow[]).filter(({ state }) => state === 'expected').map(({ seq }) => seq)
    const unsaid = expected.length > 0 ? await tx.query<{ job_seq: number }>(UNSAID, [expected]) : []
    adopt(jobs as JobTableRow[], sideFiles as SideFilesRow[], new Set(unsaid.map(({ job_seq }) => job_seq)))
  }

  /** Takes over rows that are locked. */
  function adopt(jobs: readonly JobTableRow[], sideFiles: readonly SideFilesRow[], unsaid: ReadonlySet<number>): void {
    const missing = new Map(sideFiles.map((row) => [row.job_seq, storedSideFilesOf(row)]))
    for (const row of jobs) {
      const was = storedJobOf(row)
      const entry: Entry = {
        seq: row.seq,
        was,
        job: was,
        sideFiles: missing.get(row.seq) ?? null,
        isEndpointUnsaid: unsaid.has(row.seq),
      }
      entries.set(row.job_id, entry)
    }
  }

  /** A job whose row this transaction has inserted. */
  function created(seq: number, job: StoredJob): void {
    entries.set(job.jobId, { seq, was: job, job, sideFiles: null, isEndpointUnsaid: false })
    wake(job.progress.stage, job.progress.dueAt)
  }

  function put(entry: Entry, { job, dropsSideFiles }: Changed): void {
    if (dropsSideFiles) putSideFiles(entry, null)
    const isNew = job.progress !== entry.job.progress
    if (isNew) countTransition(entry.job.progress, job.progress)
    entry.job = job
    if (isNew && job.progress.state === 'queued') wake(job.progress.stage, job.progress.dueAt)
  }

  function wake(stage: Stage, at: number): void {
    if (at <= now) queued[stage] = true
    else dueAt[stage] = Math.min(dueAt[stage] ?? at, at)
  }

  function wakeAll(): void {
    queued.fetch = true
    queued.hand_over = true
  }

  function putSideFiles(entry: Entry, next: SideFilesProgress | null): void {
    putBack.set(entry.seq, next && progressOf(next))
    entry.sideFiles = next && { ...progressOf(next), token: entry.sideFiles?.token ?? 0, isRunning: false }
    if (next) wake('fetch', next.dueAt)
  }

  /** The job of a claim, if the claim still holds. */
  function held(claim: ClaimId): Entry | null {
    const entry = entries.get(claim.jobId)
    return entry && isHeld(claim, entry.job, entry.sideFiles) ? entry : null
  }

  function noteAttempt({ seq }: Entry, token: number, attempt: NewAttempt): void {
    attempts.push(attemptColumns(seq, token, attempt))
  }

  function addEndpoint(jobId: string, endpoint: string): void {
    endpoints.push({ jobId, endpoint })
  }

  /** Notes with a job that it was part of an action. */
  function link({ seq, job }: Entry, action: number | undefined): void {
    if (action !== undefined) links.push({ seq, action, round: job.round })
  }

  /** The statements that write all of it: for the end of the transaction. */
  function statements(): Statement[] {
    const all: Statement[] = [...more]
    const changed = [...entries.values()].filter(({ was, job }) => isChanged(was, job))
    if (changed.length > 0)
      all.push({ text: SAVE_JOBS, values: [JSON.stringify(changed.map(({ seq, job }) => columnsOf(seq, job)))] })
    const kept = [...putBack].filter(([, next]) => next !== null)
    const dropped = [...putBack].filter(([, next]) => next === null).map(([seq]) => seq)
    if (dropped.length > 0) all.push({ text: DROP_SIDE_FILES, values: [dropped] })
    if (kept.length > 0) all.push({ text: PUT_SIDE_FILES, values: [JSON.stringify(kept.map(sideFilesColumns))] })
    if (attempts.length > 0) {
      all.push({ text: NOTE_ATTEMPTS, values: [JSON.stringify(attempts)] })
      const seqs = new Set(attempts.map((one) => one.job_seq))
      all.push({ text: DROP_OLD_ATTEMPTS, values: [[...seqs]] })
    }
    if (endpoints.length > 0)
      all.push({
        text: ADD_ENDPOINTS,
        values: [endpoints.map(({ jobId }) => jobId), endpoints.map(({ endpoint }) => endpoint)],
      })
    if (links.length > 0) {
      const seqs = links.map(({ seq }) => seq)
      const values = [seqs, links.map(({ action }) => action), links.map(({ round }) => round)]
      all.push({ text: LINK_ACTIONS, values }, { text: DROP_OLD_LINKS, values: [seqs] })
    }
    const counted = [...counts].filter(([, by]) => by !== 0)
    if (counted.length > 0)
      all.push({ text: COUNT, values: [source, counted.map(([name]) => name), counted.map(([, by]) => by)] })
    return all
  }

  return {
    load,
    created,
    find: (jobId: string) => entries.get(jobId) ?? null,
    put,
    putSideFiles,
    held,
    noteAttempt,
    addEndpoint,
    link,
    count,
    countTransition,
    wake,
    wakeAll,
    /** A further statement of the end. */
    also: (text: string, values: readonly unknown[]) => void more.push({ text, values }),
    statements,
    effects: (): Effects => ({ queued, dueAt }),
  }
}

function sideFilesColumns([seq, next]: readonly [number, SideFilesProgress | null]): object {
  const { failures, crashes, dueAt, spent } = next!
  return { job_seq: seq, failures, crashes, due_at: Math.round(dueAt), spent: Math.round(spent) }
}

function isChanged(was: StoredJob, job: StoredJob): boolean {
  return was !== job && Object.entries(job).some(([name, value]) => was[name as keyof StoredJob] !== value)
}
