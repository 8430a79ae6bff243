import type { DatabaseSync } from 'node:sqlite'
import {
  afterCrash,
  CRASHES_UNTIL_ALONE,
  contradiction,
  type JobState,
  type Moment,
  onDelivery,
  queued,
  type Stage,
  type Standing,
} from '../../job.ts'
import type { Attempt, Claim, Content, Delivery, Places, Receipt, Requeue } from '../inbox.ts'
import { JOB_COLUMNS, type JobRecord, REQUEUABLE, standingOf } from './rows.ts'

/** The longest that a job may be put off. A clock that jumped back would leave it further ahead. */
const FURTHEST_DUE = 600_000
/** Jobs that are queued together are due so many ms apart, or closer, so that all are within FURTHEST_DUE. */
const PACE = 20
/** Attempts that are kept of a job. */
const ATTEMPTS_KEPT = 50

/** Everything that changes the database, as functions for one open transaction. One writer: an update is its own lock. */
export type Writer = ReturnType<typeof createWriter>

export function createWriter(db: DatabaseSync, options: { retryFor: number }) {
  const sql = statements(db)
  /** Counts change with every row; they are summed up here and written once a transaction. */
  let counts = new Map<string, number>()
  let lastVerifiedAt: number | null = null
  let seenChanges = 0

  function count(name: string, by: number): void {
    counts.set(name, (counts.get(name) ?? 0) + by)
  }

  function move(from: JobState | null, to: JobState | null): void {
    if (from === to) return
    if (from) count(`job:${from}`, -1)
    if (to) count(`job:${to}`, 1)
  }

  function accept(delivery: Delivery, at: Moment): Receipt {
    const { svixId, endpoint, content, receivedAt } = delivery
    lastVerifiedAt = receivedAt
    const known = sql.arrivedAgain.get(receivedAt, svixId) as { seq: number } | undefined
    if (content.is !== 'job') {
      if (!known) insertDelivery(delivery, content, false)
      return { duplicate: known !== undefined, requeued: false, job: null }
    }
    const job = sql.job.get(content.jobId) as JobRecord | undefined
    const arrival = onDelivery(job ?? null, { known: known !== undefined, status: content.status })
    const seq = known?.seq ?? insertDelivery(delivery, content, job !== undefined && job.first !== null)
    if (!job) {
      const next = queued(at, options.retryFor)
      sql.insertJob.run(content.jobId, content.status, endpoint, seq, next.dueAt, next.giveUpAt, at.now, at.now, at.now)
      move(null, 'queued')
      return { duplicate: known !== undefined, requeued: false, job: 'queued' }
    }
    if (job.endpoint !== endpoint) sql.addEndpoint.run(content.jobId, endpoint)
    if (!known || arrival.queue) sql.announce.run(content.status, seq, known ? 0 : 1, at.now, job.seq)
    else sql.touch.run(at.now, job.seq)
    if (arrival.queue) queue(job, arrival.queue === 'refetch' || job.refetch === 1, at)
    return { duplicate: arrival.duplicate, requeued: arrival.requeued, job: arrival.queue ? 'queued' : job.state }
  }

  function insertDelivery(delivery: Delivery, content: Content, further: boolean): number {
    const { lastInsertRowid } = sql.insertDelivery.run(
      delivery.svixId,
      delivery.endpoint,
      content.is,
      content.is === 'job' ? content.jobId : null,
      content.is === 'job' ? content.status : null,
      content.is === 'rejected' ? content.reason : null,
      further ? 1 : 0,
      delivery.receivedAt,
      delivery.receivedAt,
    )
    sql.insertBody.run(lastInsertRowid, Buffer.from(delivery.body))
    count(`delivery:${content.is}`, 1)
    return Number(lastInsertRowid)
  }

  function queue(job: JobRecord, refetch: boolean, at: Moment, dueAt = at.now): void {
    write(job.seq, job.state, { ...queued(at, options.retryFor), dueAt }, at)
    sql.queuedAt.run(at.now, refetch ? 1 : 0, job.seq)
  }

  function write(seq: number, from: JobState, next: Standing, at: Moment): void {
    sql.stand.run(
      next.state,
      next.stage,
      next.tries,
      next.waits,
      next.crashes,
      next.dueAt,
      next.giveUpAt,
      next.goneSince,
      next.reason?.code ?? null,
      next.reason?.message ?? null,
      at.now,
      seq,
    )
    move(from, next.state)
  }

  /** Due jobs, the longest due first. A job that must run alone is claimed when none runs, and then none beside it. */
  function claim({ fetches, handOvers, most }: Places, at: Moment): readonly Claim[] {
    if (paused()) return []
    const running = sql.running.all() as { crashes: number }[]
    if (running.some((job) => job.crashes >= CRASHES_UNTIL_ALONE)) return []
    const dueAt = (stage: Stage, limit: number) => sql.due.all(stage, at.now, limit) as JobRecord[]
    const due = [...dueAt('fetch', fetches), ...dueAt('hand_over', handOvers)]
      .sort((a, b) => a.due_at - b.due_at)
      .slice(0, most)
    const first = due[0]
    const lonely = due.findIndex((job) => job.crashes >= CRASHES_UNTIL_ALONE)
    if (first && lonely === 0) return running.length > 0 ? [] : [take(first)]
    return (lonely === -1 ? due : due.slice(0, lonely)).map(take)
  }

  function take(job: JobRecord): Claim {
    const token = job.token + 1
    sql.take.run(token, job.seq)
    move('queued', 'running')
    const first = job.first === null ? undefined : (sql.first.get(job.first) as FirstDelivery | undefined)
    const others = sql.endpoints.all(job.job_id) as { endpoint: string }[]
    return {
      jobId: job.job_id,
      token,
      standing: { ...standingOf(job), state: 'running' },
      endpoint: job.endpoint,
      endpoints: [job.endpoint, ...others.map((other) => other.endpoint)],
      svixId: first?.svix_id ?? null,
      receivedAt: first?.received_at ?? job.created_at,
      queuedAt: job.queued_at,
      round: job.round,
      body: first?.body ? Buffer.from(first.body).toString('utf8') : null,
      refetch: job.refetch === 1,
      news: job.news,
      announced: job.status,
    }
  }

  function held(jobId: string, token: number): JobRecord | null {
    const job = sql.job.get(jobId) as JobRecord | undefined
    return job?.state === 'running' && job.token === token ? job : null
  }

  function settle(claim: Claim, next: Standing, attempt: Attempt, at: Moment): boolean {
    const { token } = claim
    const job = held(claim.jobId, token)
    if (!job) return false
    const { startedAt, ms, stage, outcome, reason, recorded, type } = attempt
    sql.attempt.run(
      job.seq,
      token,
      startedAt,
      Math.round(ms),
      outcome,
      reason?.code ?? null,
      reason?.message ?? null,
      recorded,
      stage,
      type,
    )
    sql.oldAttempts.run(job.seq, token - ATTEMPTS_KEPT)
    write(job.seq, 'running', next, at)
    if (recorded === null) return true
    // From here on there is a record: nothing is fetched again for what asked for it.
    sql.record.run(recorded, type, job.seq)
    // A delivery that came while the job ran may know better than the record that was just saved.
    if (job.news > claim.news && contradiction(recorded, job.status)) queue({ ...job, state: next.state }, true, at)
    return true
  }

  /** The jobs that were running when the last process died, if it did. Only for the holder of the instance lock. */
  function recover(at: Moment): number {
    const running = sql.runningJobs.all() as JobRecord[]
    for (const job of running) {
      const next = afterCrash(standingOf(job), at)
      write(job.seq, 'running', next, at)
    }
    return running.length
  }

  function clampDue(at: Moment): void {
    sql.clampDue.run(at.now + FURTHEST_DUE, at.now + FURTHEST_DUE)
  }

  /** Queues these jobs again, those of them that still may be; they are the ones from `first` on of `total`. */
  function requeue(seqs: readonly number[], { refetch }: Requeue, part: RequeuePart, at: Moment): void {
    const apart = Math.min(PACE, FURTHEST_DUE / Math.max(part.total, 1))
    for (const [index, seq] of seqs.entries()) {
      const job = sql.requeueable.get(seq) as JobRecord | undefined
      if (!job) continue
      const dueAt = part.since + Math.floor((part.first + index) * apart)
      if (job.state === 'queued' && !refetch) sql.hasten.run(Math.min(dueAt, job.due_at), seq)
      else queue(job, refetch === true || job.refetch === 1, at, dueAt)
    }
  }

  function erase(jobId: string, at: Moment): 'erased' | 'running' | 'unknown' {
    const job = sql.job.get(jobId) as JobRecord | undefined
    if (!job) return 'unknown'
    if (job.state === 'running') return 'running'
    for (const statement of sql.eraseOf) statement.run(job.job_id)
    write(job.seq, job.state, { ...standingOf(job), state: 'done', reason: ERASED }, at)
    sql.record.run(null, job.type, job.seq)
    return 'erased'
  }

  function counterValue(name: string): number {
    return ((sql.counter.get(name) as { value: number } | undefined)?.value ?? 0) + (counts.get(name) ?? 0)
  }

  const paused = () => counterValue('paused') === 1

  return {
    accept,
    claim,
    settle,
    held: (jobId: string, token: number) => held(jobId, token) !== null,
    recover,
    clampDue,
    requeue,
    erase,
    count,
    move,
    /** Writes, and changes nothing. */
    probe: () => void sql.setCounter.run('probe', 0),
    pause: (on: boolean) => void sql.setCounter.run('paused', on ? 1 : 0),
    paused,
    /** The working clock's stored reading. */
    working: () => counterValue('working'),
    /** When the next queued job is due; null when none is. */
    nextDue: (): NextDue => sql.nextDue.get() as NextDue,
    /** Whether a due time lies further ahead than any backoff: the clock has jumped back. */
    dueTooFar: (at: Moment) => (sql.lastDue.get() as { due_at: number }).due_at > at.now + FURTHEST_DUE,
    /** The last thing of a transaction: what it changed in sum. One that changed nothing stays free of a sync. */
    finish(working: number) {
      for (const [name, by] of counts) if (by !== 0) sql.addCounter.run(name, by)
      counts = new Map()
      if (lastVerifiedAt !== null) sql.setCounter.run('last_verified_at', lastVerifiedAt)
      lastVerifiedAt = null
      const { changes } = sql.changes.get() as { changes: number }
      if (changes !== seenChanges) sql.setCounter.run('working', working)
      seenChanges = (sql.changes.get() as { changes: number }).changes
    },
    dropCounts() {
      counts = new Map()
    },
    /** For a savepoint: what `restoreCounts` goes back to. */
    saveCounts: () => new Map(counts),
    restoreCounts(saved: Map<string, number>) {
      counts = saved
    },
  }
}

const ERASED = { code: 'erased', message: 'forgotten at the wish of an operator' } as const

/** Where a part of many jobs stands among them. `since`: when the first is due, ms. */
export type RequeuePart = { readonly first: number; readonly total: number; readonly since: number }

/** When the next queued job of each stage is due; null when none is. */
export type NextDue = Readonly<Record<Stage, number | null>>

type FirstDelivery = { svix_id: string; received_at: number; body: Uint8Array | null }

/** The least or largest due time of a stage: one look into the index, however many jobs wait. */
function due(which: 'MIN' | 'MAX', stage: Stage): string {
  return `SELECT ${which}(due_at) FROM job WHERE state = 'queued' AND stage = '${stage}'`
}

function statements(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  return {
    arrivedAgain: p('UPDATE delivery SET arrivals = arrivals + 1, last_at = ? WHERE svix_id = ? RETURNING seq'),
    insertDelivery: p(
      `INSERT INTO delivery (svix_id, endpoint, disposition, job_id, status, note, further, received_at, last_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    insertBody: p('INSERT INTO delivery_body (seq, body) VALUES (?, ?)'),
    job: p(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ?`),
    insertJob: p(
      `INSERT INTO job (job_id, state, status, endpoint, first, due_at, give_up_at, created_at, queued_at, updated_at)
       VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addEndpoint: p('INSERT OR IGNORE INTO job_endpoint (job_id, endpoint) VALUES (?, ?)'),
    announce: p('UPDATE job SET status = ?, first = COALESCE(first, ?), news = news + ?, updated_at = ? WHERE seq = ?'),
    touch: p('UPDATE job SET updated_at = ? WHERE seq = ?'),
    stand: p(
      `UPDATE job SET state = ?, stage = ?, tries = ?, waits = ?, crashes = ?, due_at = ?, give_up_at = ?, gone_since = ?,
         reason_code = ?, reason_message = ?, updated_at = ? WHERE seq = ?`,
    ),
    requeueable: p(`SELECT ${JOB_COLUMNS} FROM job WHERE seq = ? AND ${REQUEUABLE}`),
    hasten: p('UPDATE job SET due_at = ? WHERE seq = ?'),
    queuedAt: p('UPDATE job SET queued_at = ?, round = round + 1, refetch = ? WHERE seq = ?'),
    running: p(`SELECT crashes FROM job WHERE state = 'running'`),
    runningJobs: p(`SELECT ${JOB_COLUMNS} FROM job WHERE state = 'running'`),
    due: p(
      `SELECT ${JOB_COLUMNS} FROM job WHERE state = 'queued' AND stage = ? AND due_at <= ? ORDER BY due_at LIMIT ?`,
    ),
    nextDue: p(`SELECT (${due('MIN', 'fetch')}) AS fetch, (${due('MIN', 'hand_over')}) AS hand_over`),
    lastDue: p(
      `SELECT MAX(COALESCE((${due('MAX', 'fetch')}), 0), COALESCE((${due('MAX', 'hand_over')}), 0)) AS due_at`,
    ),
    changes: p('SELECT total_changes() AS changes'),
    clampDue: p(`UPDATE job SET due_at = ? WHERE state = 'queued' AND due_at > ?`),
    take: p(`UPDATE job SET state = 'running', token = ? WHERE seq = ?`),
    first: p(
      `SELECT svix_id, received_at, body FROM delivery LEFT JOIN delivery_body USING (seq) WHERE delivery.seq = ?`,
    ),
    endpoints: p('SELECT endpoint FROM job_endpoint WHERE job_id = ? ORDER BY endpoint'),
    record: p('UPDATE job SET recorded = ?, type = ?, refetch = 0, news = 0 WHERE seq = ?'),
    attempt: p(
      `INSERT OR REPLACE INTO attempt (job, token, started_at, ms, outcome, code, message, recorded, stage, type)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    eraseOf: [
      p('DELETE FROM delivery_body WHERE seq IN (SELECT first FROM job WHERE job_id = ?)'),
      p('DELETE FROM delivery_body WHERE seq IN (SELECT seq FROM delivery WHERE further = 1 AND job_id = ?)'),
      p('DELETE FROM attempt WHERE job = (SELECT seq FROM job WHERE job_id = ?)'),
    ],
    oldAttempts: p('DELETE FROM attempt WHERE job = ? AND token <= ?'),
    counter: p('SELECT value FROM counter WHERE name = ?'),
    setCounter: p('INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'),
    addCounter: p('INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value'),
  }
}
