import type { DatabaseSync } from 'node:sqlite'
import { IN_LANE, ISOLATED, JOB_COLUMNS, LANES } from './rows.ts'

/** A job is not fetched while side files are added to its saved result; a handler may be called meanwhile. */
const UNHINDERED = `(:stage = 'hand_over'
  OR NOT EXISTS (SELECT 1 FROM side_files WHERE job_seq = job.seq AND is_running = 1))`

/** What `columnsOf` gives values for: all of a job that may change. */
const SET_JOB = `state = :state, stage = :stage, failures = :failures, polls = :polls, crashes = :crashes, due_at = :dueAt,
  spent = :spent, gone_spent = :goneSpent, reason_code = :reasonCode, reason_message = :reasonMessage, cause = :cause, type = :type,
  announced_status = :announced, saved_status = :savedStatus, first_delivery = :firstDelivery, round = :round,
  fetch_since_round = :fetchSince, token = :token, queued_at = :queuedAt, updated_at = :updatedAt`

/**
 * The SQL of everything that changes the database. Parameters have names where there are several; a name costs about half a
 * microsecond each time.
 */
export function prepareStatements(db: DatabaseSync) {
  const p = (text: string) => db.prepare(text)
  const due = (isRetry: 0 | 1, order: 'ASC' | 'DESC') =>
    p(
      `SELECT seq FROM job WHERE ${IN_LANE} AND is_retry = ${isRetry} AND due_at <= :now AND ${UNHINDERED}
       ORDER BY due_at ${order} LIMIT :limit`,
    )
  return {
    delivery: p('SELECT seq, job_id AS jobId FROM delivery WHERE svix_id = ?'),
    countRepeat: p('UPDATE delivery SET arrivals = arrivals + 1, last_at = :at WHERE seq = :seq'),
    insertDelivery: p(
      `INSERT INTO delivery (svix_id, endpoint, disposition, job_id, status, is_later, rejected_reason, received_at, last_at)
       VALUES (:svixId, :endpoint, :disposition, :jobId, :status, :isLater, :rejection, :at, :at)`,
    ),
    keptDelivery: p(
      `SELECT delivery.seq, endpoint, disposition, body FROM delivery LEFT JOIN delivery_body USING (seq) WHERE svix_id = ?`,
    ),
    attachDelivery: p(
      `UPDATE delivery SET disposition = 'job', job_id = :jobId, status = :status, is_later = :isLater, rejected_reason = NULL
       WHERE seq = :seq`,
    ),
    insertBody: p('INSERT INTO delivery_body (seq, body) VALUES (:seq, :body)'),

    job: p(`SELECT ${JOB_COLUMNS} FROM job WHERE job_id = ?`),
    jobBySeq: p(`SELECT ${JOB_COLUMNS} FROM job WHERE seq = ?`),
    /** A new job's record: what is not named here, the schema's defaults are. Each value that is bound costs time. */
    insertJob: p(
      `INSERT INTO job (job_id, state, endpoint, announced_status, first_delivery, due_at, created_at, queued_at, updated_at)
       VALUES (:jobId, 'queued', :endpoint, :announced, :firstDelivery, :createdAt, :createdAt, :createdAt, :createdAt)`,
    ),
    insertExpected: p(
      `INSERT INTO job (job_id, state, endpoint, round, due_at, created_at, queued_at, updated_at)
       VALUES (:jobId, 'expected', :endpoint, 0, :createdAt, :createdAt, :createdAt, :createdAt)`,
    ),
    setEndpoint: p('UPDATE job SET endpoint = :endpoint, updated_at = :updatedAt WHERE seq = :seq'),
    /** What is not given anew stays. */
    register: p(
      `INSERT INTO registration (job_seq, endpoint, body, registered_by, registered_at)
       VALUES (:seq, :endpoint, :body, :by, :at)
       ON CONFLICT DO UPDATE SET endpoint = COALESCE(:endpoint, endpoint), body = COALESCE(:body, body)`,
    ),
    registration: p('SELECT endpoint, body FROM registration WHERE job_seq = ?'),
    markRunning: p(`UPDATE job SET state = 'running', token = :token, updated_at = :updatedAt WHERE seq = :seq`),
    saveJob: p(`UPDATE job SET ${SET_JOB} WHERE seq = :seq`),
    /** What a delivery may change of a job that it does not queue: columns of no index. */
    saveNews: p(
      `UPDATE job SET announced_status = :announced, first_delivery = :firstDelivery, round = :round, fetch_since_round = :fetchSince,
         updated_at = :updatedAt WHERE seq = :seq`,
    ),
    addEndpoint: p('INSERT OR IGNORE INTO job_endpoint (job_id, endpoint) VALUES (:jobId, :endpoint)'),
    clampDue: p(`UPDATE job SET due_at = :furthest WHERE state = 'queued' AND due_at > :furthest`),

    // Claims.
    lanes: p(LANES),
    firstLooks: due(0, 'ASC'),
    newestLooks: due(0, 'DESC'),
    retries: due(1, 'ASC'),
    isolated: p(`SELECT seq, stage FROM job WHERE ${ISOLATED} AND due_at <= ? ORDER BY due_at LIMIT 100`),
    running: p(`SELECT stage, is_retry AS isRetry, crashes FROM job WHERE state = 'running'`),
    runningJobs: p(`SELECT ${JOB_COLUMNS} FROM job WHERE state = 'running'`),
    nextDue: p(`SELECT MIN(due_at) AS dueAt FROM job WHERE ${IN_LANE} AND is_retry = :isRetry AND due_at > :after`),
    nextIsolated: p(`SELECT MIN(due_at) AS dueAt FROM job WHERE ${ISOLATED} AND due_at > :after`),
    lastDue: p(`SELECT MAX(due_at) AS dueAt FROM job WHERE ${IN_LANE} AND is_retry = :isRetry`),
    lastIsolated: p(`SELECT MAX(due_at) AS dueAt FROM job WHERE ${ISOLATED}`),
    firstDelivery: p(
      `SELECT svix_id AS svixId, received_at AS receivedAt, body FROM delivery LEFT JOIN delivery_body USING (seq)
       WHERE delivery.seq = ?`,
    ),
    endpoints: p('SELECT endpoint FROM job_endpoint WHERE job_id = ? ORDER BY endpoint'),

    // Side files. Which jobs' may be tried: see maySideFilesRun.
    sideFiles: p('SELECT * FROM side_files WHERE job_seq = ?'),
    dueSideFiles: p(
      `SELECT job_seq AS seq FROM side_files JOIN job ON job.seq = job_seq
       WHERE is_running = 0 AND side_files.due_at <= :now
         AND (job.state IN ('done', 'dead') OR job.stage = 'hand_over')
       ORDER BY side_files.due_at LIMIT :limit`,
    ),
    nextSideFiles: p('SELECT MIN(due_at) AS dueAt FROM side_files WHERE is_running = 0 AND due_at > :after'),
    runningSideFiles: p('SELECT * FROM side_files WHERE is_running = 1'),
    putSideFiles: p(
      `INSERT INTO side_files (job_seq, failures, crashes, due_at, spent) VALUES (:seq, :failures, :crashes, :dueAt, :spent)
       ON CONFLICT DO UPDATE SET failures = :failures, crashes = :crashes, due_at = :dueAt, spent = :spent, is_running = 0`,
    ),
    markSideFiles: p('UPDATE side_files SET is_running = 1, token = :token WHERE job_seq = :seq'),
    dropSideFiles: p('DELETE FROM side_files WHERE job_seq = :seq'),
    clampSideFiles: p('UPDATE side_files SET due_at = :furthest WHERE is_running = 0 AND due_at > :furthest'),

    insertAttempt: p(
      `INSERT OR REPLACE INTO attempt (job_seq, token, started_at, ms, outcome, reason_code, reason_message, saved_status, task, type, round,
         calls, files, bytes, fetch_ms, save_ms, hand_over_ms)
       VALUES (:seq, :token, :startedAt, :ms, :outcome, :reasonCode, :reasonMessage, :savedStatus, :task, :type, :round,
         :calls, :files, :bytes, :fetchMs, :saveMs, :handOverMs)`,
    ),
    dropOldAttempts: p(
      `DELETE FROM attempt WHERE job_seq = :seq AND token <=
         (SELECT token FROM attempt WHERE job_seq = :seq ORDER BY token DESC LIMIT 1 OFFSET :kept)`,
    ),
    eraseSteps: [
      p('DELETE FROM delivery_body WHERE seq IN (SELECT first_delivery FROM job WHERE seq = :seq)'),
      p(
        `DELETE FROM delivery_body WHERE seq IN (SELECT delivery.seq FROM delivery JOIN job USING (job_id)
           WHERE is_later = 1 AND job.seq = :seq)`,
      ),
      p('DELETE FROM attempt WHERE job_seq = :seq'),
      p('DELETE FROM side_files WHERE job_seq = :seq'),
      p('UPDATE registration SET body = NULL WHERE job_seq = :seq'),
    ],

    /** Of jobs that died before causes were kept: their entries stand at the front of the index. */
    withoutCause: p(
      `SELECT seq, reason_code AS code, reason_message AS message FROM job INDEXED BY job_cause
       WHERE state = 'dead' AND cause IS NULL LIMIT :limit`,
    ),
    setCause: p('UPDATE job SET cause = :cause WHERE seq = :seq'),
    insertAction: p(
      `INSERT INTO action (at, who, role, what, filter, count, ids) VALUES (:at, :who, :role, :what, :filter, :count, :ids)`,
    ),
    linkAction: p(
      `INSERT OR REPLACE INTO action_job (job_seq, action_seq, round) SELECT seq, :action, round FROM job WHERE seq = :seq`,
    ),
    dropOldLinks: p(
      `DELETE FROM action_job WHERE job_seq = :seq AND action_seq <=
         (SELECT action_seq FROM action_job WHERE job_seq = :seq ORDER BY action_seq DESC LIMIT 1 OFFSET :kept)`,
    ),
    addMinute: p('INSERT INTO minute VALUES (:at, :name, :by) ON CONFLICT DO UPDATE SET n = n + :by'),
    addHour: p('INSERT INTO hour VALUES (:at, :name, :by) ON CONFLICT DO UPDATE SET n = n + :by'),
    eraseOther: p(
      `DELETE FROM delivery_body WHERE seq = (SELECT seq FROM delivery WHERE svix_id = :svixId AND disposition <> 'job')`,
    ),
    isOther: p(`SELECT 1 FROM delivery WHERE svix_id = :svixId AND disposition <> 'job'`),

    pause: p('SELECT paused_at AS since, paused_reason AS reason FROM operator_pause'),
    setPause: p('INSERT OR REPLACE INTO operator_pause (id, paused_at, paused_reason) VALUES (1, :since, :reason)'),
    endPause: p('DELETE FROM operator_pause'),

    counter: p('SELECT value FROM counter WHERE name = ?'),
    setCounter: p('INSERT INTO counter VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = :value'),
    addCounter: p('INSERT INTO counter VALUES (:name, :by) ON CONFLICT DO UPDATE SET value = value + :by'),
    secret: p('SELECT value FROM secret WHERE name = :name'),
    setSecret: p('INSERT OR IGNORE INTO secret VALUES (:name, :value)'),
  }
}

export type Statements = ReturnType<typeof prepareStatements>
