import type { DatabaseSync } from 'node:sqlite'
import { IN_LANE, JOB_COLUMNS, LANES, REQUEUABLE } from './rows.ts'

/** A job is not fetched while side files are added to its saved result; a handler may be called meanwhile. */
const UNHINDERED = `(:stage = 'hand_over'
  OR NOT EXISTS (SELECT 1 FROM side_files WHERE side_files.job = job.seq AND running = 1))`

/** The SQL of everything that changes the database. */
export function prepareStatements(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  return {
    delivery: p('SELECT seq, job_id FROM delivery WHERE svix_id = ?'),
    countRepeat: p('UPDATE delivery SET arrivals = arrivals + 1, last_at = :at WHERE seq = :seq'),
    insertDelivery: p(
      `INSERT INTO delivery (svix_id, endpoint, disposition, job_id, status, note, further, received_at, last_at)
       VALUES (:svixId, :endpoint, :disposition, :jobId, :status, :note, :further, :at, :at)`,
    ),
    insertBody: p('INSERT INTO delivery_body (seq, body) VALUES (?, ?)'),

    job: p(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ?`),
    jobBySeq: p(`SELECT ${JOB_COLUMNS} FROM job WHERE seq = ?`),
    insertJob: p(
      `INSERT INTO job (job_id, state, announced, endpoint, first_delivery, due_at, created_at, queued_at, updated_at)
       VALUES (:jobId, 'queued', :announced, :endpoint, :delivery, :at, :at, :at, :at)`,
    ),
    addEndpoint: p('INSERT OR IGNORE INTO job_endpoint (job_id, endpoint) VALUES (?, ?)'),
    announce: p(
      `UPDATE job SET announced = :status, first_delivery = COALESCE(first_delivery, :delivery), updated_at = :at
       WHERE seq = :seq`,
    ),
    touch: p('UPDATE job SET updated_at = ? WHERE seq = ?'),
    updateProgress: p(
      `UPDATE job SET state = :state, stage = :stage, failures = :failures, polls = :polls, crashes = :crashes,
         due_at = :dueAt, spent = :spent, gone_spent = :goneSpent, reason_code = :code, reason_message = :message,
         updated_at = :at WHERE seq = :seq`,
    ),
    nextRound: p(
      `UPDATE job SET round = round + 1, fetch_since = CASE WHEN :refetch THEN round + 1 ELSE fetch_since END,
         queued_at = :at WHERE seq = :seq`,
    ),
    outdate: p('UPDATE job SET round = round + 1, fetch_since = round + 1 WHERE seq = ?'),
    setSaved: p('UPDATE job SET saved_status = :status, type = :type WHERE seq = :seq'),
    requeueable: p(`SELECT ${JOB_COLUMNS} FROM job WHERE seq = ? AND ${REQUEUABLE}`),
    setDueAt: p('UPDATE job SET due_at = :dueAt WHERE seq = :seq'),
    clampDue: p(`UPDATE job SET due_at = :furthest WHERE state = 'queued' AND due_at > :furthest`),

    // Claims.
    lanes: p(LANES),
    firstLooks: p(
      `SELECT seq FROM job WHERE ${IN_LANE} AND is_retry = 0 AND due_at <= :now AND ${UNHINDERED}
       ORDER BY due_at LIMIT :limit`,
    ),
    newestLooks: p(
      `SELECT seq FROM job WHERE ${IN_LANE} AND is_retry = 0 AND due_at <= :now AND ${UNHINDERED}
       ORDER BY due_at DESC LIMIT :limit`,
    ),
    retries: p(
      `SELECT seq FROM job WHERE ${IN_LANE} AND is_retry = 1 AND due_at <= :now AND ${UNHINDERED}
       ORDER BY due_at LIMIT :limit`,
    ),
    isolated: p(
      `SELECT seq, stage FROM job WHERE state = 'queued' AND crashes >= 2 AND due_at <= ? ORDER BY due_at LIMIT 100`,
    ),
    running: p(`SELECT seq, stage, is_retry, crashes FROM job WHERE state = 'running'`),
    runningJobs: p(`SELECT ${JOB_COLUMNS} FROM job WHERE state = 'running'`),
    markRunning: p(`UPDATE job SET state = 'running', token = :token, updated_at = :now WHERE seq = :seq`),
    nextDue: p(`SELECT MIN(due_at) AS due_at FROM job WHERE ${IN_LANE} AND is_retry = :isRetry AND due_at > :after`),
    nextIsolated: p(`SELECT MIN(due_at) AS due_at FROM job WHERE state = 'queued' AND crashes >= 2 AND due_at > ?`),
    lastIsolated: p(`SELECT MAX(due_at) AS due_at FROM job WHERE state = 'queued' AND crashes >= 2`),
    lastDue: p(`SELECT MAX(due_at) AS due_at FROM job WHERE ${IN_LANE} AND is_retry = :isRetry`),
    firstDelivery: p(
      `SELECT svix_id, received_at, body FROM delivery LEFT JOIN delivery_body USING (seq) WHERE delivery.seq = ?`,
    ),
    endpoints: p('SELECT endpoint FROM job_endpoint WHERE job_id = ? ORDER BY endpoint'),

    // Side files. A job that is to be fetched anew gets all of them with its result.
    sideFiles: p('SELECT * FROM side_files WHERE job = ?'),
    dueSideFiles: p(
      `SELECT side_files.job AS seq FROM side_files JOIN job ON job.seq = side_files.job
       WHERE running = 0 AND side_files.due_at <= :now
         AND (job.state IN ('done', 'dead') OR job.stage = 'hand_over')
       ORDER BY side_files.due_at LIMIT :limit`,
    ),
    nextSideFiles: p('SELECT MIN(due_at) AS due_at FROM side_files WHERE running = 0 AND due_at > ?'),
    runningSideFiles: p('SELECT * FROM side_files WHERE running = 1'),
    putSideFiles: p(
      `INSERT INTO side_files (job, failures, crashes, due_at, spent) VALUES (:seq, :failures, :crashes, :dueAt, :spent)
       ON CONFLICT DO UPDATE SET failures = :failures, crashes = :crashes, due_at = :dueAt, spent = :spent, running = 0`,
    ),
    markSideFiles: p('UPDATE side_files SET running = 1, token = :token WHERE job = :seq'),
    dropSideFiles: p('DELETE FROM side_files WHERE job = ?'),
    clampSideFiles: p('UPDATE side_files SET due_at = :furthest WHERE running = 0 AND due_at > :furthest'),

    attempt: p(
      `INSERT OR REPLACE INTO attempt (job, token, started_at, ms, outcome, code, message, saved_status, task, type)
       VALUES (:seq, :token, :startedAt, :ms, :outcome, :code, :message, :savedStatus, :task, :type)`,
    ),
    oldAttempts: p(
      `DELETE FROM attempt WHERE job = :seq AND token <=
         (SELECT token FROM attempt WHERE job = :seq ORDER BY token DESC LIMIT 1 OFFSET :kept)`,
    ),
    eraseOf: [
      p('DELETE FROM delivery_body WHERE seq IN (SELECT first_delivery FROM job WHERE seq = ?)'),
      p(
        `DELETE FROM delivery_body WHERE seq IN (SELECT delivery.seq FROM delivery JOIN job USING (job_id)
           WHERE further = 1 AND job.seq = ?)`,
      ),
      p('DELETE FROM attempt WHERE job = ?'),
      p('DELETE FROM side_files WHERE job = ?'),
    ],

    startPause: p(
      'INSERT INTO pause VALUES (1, :since, :reason) ON CONFLICT DO UPDATE SET reason = COALESCE(excluded.reason, reason)',
    ),
    endPause: p('DELETE FROM pause'),

    counter: p('SELECT value FROM counter WHERE name = ?'),
    setCounter: p('INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'),
    addCounter: p('INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value'),
    secret: p('SELECT value FROM secret WHERE name = ?'),
    setSecret: p('INSERT OR IGNORE INTO secret VALUES (?, ?)'),
  }
}

export type Statements = ReturnType<typeof prepareStatements>
