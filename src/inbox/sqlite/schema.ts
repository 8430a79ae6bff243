import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { DatabaseRefused } from '../inbox.ts'
import { ensurePrivateFile } from './private-file.ts'

/**
 * Migrations are only ever added, and only add: the schema's version is their number, kept in `user_version`.
 *
 * Bodies have a table of their own, so that a job's row stays small where states change. A job's first delivery is
 * known by `job.first_delivery`; only later ones are indexed by job. Svix's ids are in order of time and Reducto's job ids
 * are random: so a delivery costs one random page of one index, however many there are.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE delivery (
    seq         INTEGER PRIMARY KEY,
    svix_id     TEXT NOT NULL UNIQUE,
    endpoint    TEXT NOT NULL,
    disposition TEXT NOT NULL CHECK (disposition IN ('job', 'ignored', 'rejected')),
    job_id      TEXT,
    status      TEXT,
    note        TEXT,
    further     INTEGER NOT NULL DEFAULT 0,
    received_at INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    arrivals    INTEGER NOT NULL DEFAULT 1
  ) STRICT;
  CREATE INDEX delivery_further ON delivery (job_id, seq) WHERE further = 1;
  CREATE TABLE delivery_body (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

  CREATE TABLE job (
    seq            INTEGER PRIMARY KEY,
    job_id         TEXT NOT NULL UNIQUE,
    state          TEXT NOT NULL CHECK (state IN ('expected', 'queued', 'running', 'done', 'dead')),
    status         TEXT,
    recorded       TEXT,
    refetch        INTEGER NOT NULL DEFAULT 0,
    news           INTEGER NOT NULL DEFAULT 0,
    endpoint       TEXT NOT NULL,
    first          INTEGER REFERENCES delivery (seq),
    tries          INTEGER NOT NULL DEFAULT 0,
    waits          INTEGER NOT NULL DEFAULT 0,
    crashes        INTEGER NOT NULL DEFAULT 0,
    due_at         INTEGER NOT NULL,
    give_up_at     INTEGER NOT NULL,
    gone_since     INTEGER,
    reason_code    TEXT,
    reason_message TEXT,
    token          INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    queued_at      INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX job_due ON job (due_at) WHERE state = 'queued';
  CREATE INDEX job_running ON job (seq) WHERE state = 'running';
  CREATE INDEX job_dead ON job (seq) WHERE state = 'dead';
  CREATE TABLE job_endpoint (job_id TEXT NOT NULL, endpoint TEXT NOT NULL, PRIMARY KEY (job_id, endpoint)) STRICT, WITHOUT ROWID;

  CREATE TABLE attempt (
    job        INTEGER NOT NULL,
    token      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ms         INTEGER NOT NULL,
    outcome    TEXT NOT NULL,
    code       TEXT,
    message    TEXT,
    recorded   TEXT,
    PRIMARY KEY (job, token)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  // Handing over is a stage of its own; each queueing of a job is a round.
  `
  ALTER TABLE job ADD COLUMN stage TEXT NOT NULL DEFAULT 'fetch';
  ALTER TABLE job ADD COLUMN round INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE job ADD COLUMN type TEXT;
  ALTER TABLE attempt ADD COLUMN stage TEXT NOT NULL DEFAULT 'fetch';
  ALTER TABLE attempt ADD COLUMN type TEXT;
  DROP INDEX job_due;
  CREATE INDEX job_due ON job (stage, due_at) WHERE state = 'queued';
  `,
  // Patience is spent rather than timed; what is wanted is a round; side files are tried again beside the job's own
  // stages. Jobs that have crashed twice have an index of their own, so that they do not stand in the way of others.
  `
  DROP INDEX job_due;
  ALTER TABLE job RENAME COLUMN tries TO failures;
  ALTER TABLE job RENAME COLUMN waits TO polls;
  ALTER TABLE job RENAME COLUMN status TO announced;
  ALTER TABLE job RENAME COLUMN recorded TO saved_status;
  ALTER TABLE job RENAME COLUMN first TO first_delivery;
  ALTER TABLE job RENAME COLUMN gone_since TO gone_spent;
  ALTER TABLE job ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE job ADD COLUMN fetch_since INTEGER NOT NULL DEFAULT 0;
  UPDATE job SET gone_spent = NULL WHERE gone_spent IS NOT NULL;
  UPDATE job SET fetch_since = round WHERE refetch = 1;
  ALTER TABLE job DROP COLUMN refetch; ALTER TABLE job DROP COLUMN news;
  ALTER TABLE job DROP COLUMN give_up_at;
  ALTER TABLE job ADD COLUMN is_retry INTEGER GENERATED ALWAYS AS (failures + polls > 0) VIRTUAL;
  CREATE INDEX job_due ON job (stage, endpoint, is_retry, due_at) WHERE state = 'queued' AND crashes < 2;
  CREATE INDEX job_isolated ON job (due_at) WHERE state = 'queued' AND crashes >= 2;
  ALTER TABLE attempt RENAME COLUMN stage TO task;
  ALTER TABLE attempt RENAME COLUMN recorded TO saved_status;
  CREATE TABLE side_files (
    job      INTEGER PRIMARY KEY,
    failures INTEGER NOT NULL,
    crashes  INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    spent    INTEGER NOT NULL,
    token    INTEGER NOT NULL DEFAULT 0,
    running  INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX side_files_due ON side_files (due_at) WHERE running = 0;
  CREATE INDEX side_files_running ON side_files (job) WHERE running = 1;
  CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
  DELETE FROM counter WHERE name = 'working';
  INSERT INTO counter SELECT 'token', COALESCE(MAX(token), 0) FROM job;
  `,
  // Names say what a column holds: job_seq is the number of a job, which is not its id. What nothing reads goes.
  `
  ALTER TABLE job RENAME COLUMN announced TO announced_status;
  ALTER TABLE job RENAME COLUMN fetch_since TO fetch_since_round;
  ALTER TABLE delivery RENAME COLUMN further TO is_later;
  ALTER TABLE delivery DROP COLUMN note;
  ALTER TABLE attempt RENAME COLUMN job TO job_seq;
  ALTER TABLE attempt RENAME COLUMN code TO reason_code;
  ALTER TABLE attempt RENAME COLUMN message TO reason_message;
  ALTER TABLE side_files RENAME COLUMN job TO job_seq;
  ALTER TABLE side_files RENAME COLUMN running TO is_running;
  DROP INDEX job_dead; DROP INDEX delivery_further;
  CREATE INDEX delivery_later ON delivery (job_id, seq) WHERE is_later = 1;
  `,
  // What operators look for: why a delivery was rejected, and since when and why claims are stopped. Deliveries that concern
  // no job are few, and have an index of their own.
  `
  ALTER TABLE delivery ADD COLUMN rejected_reason TEXT;
  CREATE INDEX delivery_other ON delivery (seq) WHERE disposition <> 'job';
  CREATE TABLE operator_pause (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    paused_at     INTEGER NOT NULL,
    paused_reason TEXT
  ) STRICT;
  INSERT INTO operator_pause SELECT 1, unixepoch() * 1000, NULL FROM counter WHERE name = 'paused' AND value = 1;
  DELETE FROM counter WHERE name = 'paused';
  `,
  // The operator's page: why jobs are dead, who did what, what an attempt did, what happened in each minute. The new
  // indexes hold rare rows alone, so that recording a delivery writes no page more. `job_cause` has all that the list of causes is made from;
  // of jobs that are dead already the service fills it beside its work (see causes.ts).
  `
  ALTER TABLE job ADD COLUMN cause TEXT;
  CREATE INDEX job_cause ON job (cause, seq, stage, updated_at, created_at) WHERE state = 'dead';
  CREATE INDEX job_expected ON job (seq) WHERE state = 'expected';
  INSERT OR REPLACE INTO counter
    SELECT 'queued:hand_over', COUNT(*) FROM job WHERE state = 'queued' AND stage = 'hand_over' AND crashes < 2;
  UPDATE counter SET value = value + (
    SELECT COUNT(*) FROM job WHERE state = 'queued' AND stage = 'hand_over' AND crashes >= 2)
    WHERE name = 'queued:hand_over';

  ALTER TABLE attempt ADD COLUMN round INTEGER;
  ALTER TABLE attempt ADD COLUMN calls INTEGER;
  ALTER TABLE attempt ADD COLUMN files INTEGER;
  ALTER TABLE attempt ADD COLUMN bytes INTEGER;
  ALTER TABLE attempt ADD COLUMN fetch_ms INTEGER;
  ALTER TABLE attempt ADD COLUMN save_ms INTEGER;
  ALTER TABLE attempt ADD COLUMN hand_over_ms INTEGER;
  CREATE INDEX attempt_text ON attempt (job_seq) WHERE reason_message <> '';

  CREATE TABLE action (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    role   TEXT NOT NULL,
    what   TEXT NOT NULL,
    filter TEXT,
    count  INTEGER NOT NULL,
    ids    TEXT NOT NULL
  ) STRICT;
  CREATE TABLE action_job (
    job_seq    INTEGER NOT NULL,
    action_seq INTEGER NOT NULL,
    round      INTEGER NOT NULL,
    PRIMARY KEY (job_seq, action_seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE minute (at INTEGER NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (at, name)) STRICT, WITHOUT ROWID;
  CREATE TABLE hour (at INTEGER NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (at, name)) STRICT, WITHOUT ROWID;
  `,
  // Errors are searched: an accepted delivery makes none, so the index costs it nothing.
  `
  CREATE INDEX job_reason ON job (seq) WHERE reason_code IS NOT NULL;
  `,
  // Jobs that were submitted and that no delivery has announced: who registered them, with what metadata.
  `
  CREATE TABLE registration (
    job_seq       INTEGER PRIMARY KEY,
    endpoint      TEXT, body BLOB,
    registered_by TEXT NOT NULL,
    registered_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX job_overdue ON job (created_at, seq) WHERE state = 'expected';
  `,
  // Dead jobs are found at once among many others.
  `CREATE INDEX job_dead ON job (seq) WHERE state = 'dead'`,
]

/** How long a process waits for another one's write, ms. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Opens the database for writing, and makes sure that a commit is on the disk. With `migrate` its schema is brought up to
 * date: only for the holder of the instance lock, since a service of another version may be running. `busyTimeout`: how
 * long it waits for another process's write, ms.
 * @throws DatabaseRefused
 */
export function openForWriting(
  path: string,
  options: { readonly migrate: boolean; readonly busyTimeout?: number | undefined },
): DatabaseSync {
  ensurePrivateFile(path)
  const db = new DatabaseSync(path, { timeout: options.busyTimeout ?? BUSY_TIMEOUT_MS })
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA secure_delete = ON; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536`)
    if (pragma(db, 'journal_mode') !== 'wal' || pragma(db, 'synchronous') !== 2)
      throw new DatabaseRefused(`${path}: the file system does not support SQLite's write-ahead log; use a local disk`)
    if (options.migrate) migrate(db, path)
    else checkVersion(db, path)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Opens an existing, current database for reading. */
export function openForReading(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly: true })
  try {
    checkVersion(db, path)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** A command works beside a service of its own version only. */
function checkVersion(db: DatabaseSync, path: string): void {
  const version = Number(pragma(db, 'user_version'))
  if (version === MIGRATIONS.length) return
  const advice =
    version > MIGRATIONS.length
      ? 'use the command of the version that runs the service'
      : 'start the service of this version first, which brings it up to date, or use the command of the version that runs it'
  throw new DatabaseRefused(
    `${path} has schema version ${version}, this command knows version ${MIGRATIONS.length}: ${advice}`,
  )
}

function migrate(db: DatabaseSync, path: string): void {
  const version = Number(pragma(db, 'user_version'))
  if (version === MIGRATIONS.length) return
  if (version > MIGRATIONS.length)
    throw new DatabaseRefused(
      `${path} has schema version ${version}; this version of the service knows ${MIGRATIONS.length}. Run the newer version, or restore the backup made when it migrated`,
    )
  if (version > 0) keepCopy(db, `${path}.before-v${MIGRATIONS.length}`)
  db.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been faster.
    for (const migration of MIGRATIONS.slice(Number(pragma(db, 'user_version')))) db.exec(migration)
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

/** Written aside first: a process that dies meanwhile leaves nothing that looks like a copy, or that is in the way. */
function keepCopy(db: DatabaseSync, target: string): void {
  rmSync(`${target}.part`, { force: true })
  copyTo(db, `${target}.part`)
  const file = openSync(`${target}.part`, 'r')
  fsyncSync(file)
  closeSync(file)
  renameSync(`${target}.part`, target)
}

/** A consistent, compact copy, while others read and write. */
export function copyTo(db: DatabaseSync, target: string): void {
  if (existsSync(target)) throw new Error(`${target} exists already`)
  // Into an empty file it is copied too.
  ensurePrivateFile(target)
  db.prepare('VACUUM INTO ?').run(target)
}

function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
}
