import { ERASED, REQUEUEABLE_STATES } from '../../job.ts'

/** The SQL that claims, looks and counts share. */

/** The database's clock, ms. */
export const DATABASE_NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

const leastEndpoint = (stage: string, more: string) =>
  `(SELECT min(endpoint) FROM job WHERE state = 'queued' AND crashes < 2 AND stage = ${stage} ${more})`

/** Stages and endpoints that have queued jobs: a look into the index for each, however many jobs wait. */
export const LANES = `
  RECURSIVE walked (stage, endpoint) AS (
    SELECT name, ${leastEndpoint('name', '')} FROM (VALUES ('fetch' COLLATE "C"), ('hand_over')) AS stages (name)
    UNION ALL
    SELECT stage, ${leastEndpoint('walked.stage', 'AND endpoint > walked.endpoint')} FROM walked WHERE endpoint IS NOT NULL
  ), lane AS MATERIALIZED (SELECT stage, endpoint FROM walked WHERE endpoint IS NOT NULL)`

/** Queued jobs that must run alone (see isIsolated): the index `job_isolated`. */
export const ISOLATED = `state = 'queued' AND crashes >= 2`

/** Missing side files that may be tried: see maySideFilesRun. */
export const OPEN_SIDE_FILES = `NOT side_files.is_running AND (job.state IN ('done', 'dead') OR job.stage = 'hand_over')`

/** Whether the replica that holds a row lives. */
export const hasLiveHolder = (holder: string) =>
  `EXISTS (SELECT 1 FROM replica WHERE replica.id = ${holder} AND NOT replica.ended)`

/** The text with a job's metadata: registered, else of its first delivery. */
export const BODY_OF_JOB = `coalesce((SELECT body FROM registration WHERE job_seq = job.seq),
  (SELECT body FROM delivery WHERE delivery.seq = job.first_delivery))`

/** `isRequeueable`, for a walk through all jobs. */
export const REQUEUEABLE = `state IN (${REQUEUEABLE_STATES.map((state) => `'${state}'`)}) AND reason_code IS DISTINCT FROM '${ERASED.code}'`
