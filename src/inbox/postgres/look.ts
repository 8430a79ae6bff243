import type { OperatorPause } from '../inbox.ts'
import { hasLiveHolder, ISOLATED, LANES, OPEN_SIDE_FILES } from './candidates.ts'
import type { Transaction } from './lane.ts'

/**
 * What others have changed. Everything that is due counts, not only what fell due since the last claim: an accept that began
 * before a claim may be committed after it.
 */
const LOOK = `
  WITH ${LANES}
  SELECT
    EXISTS (SELECT 1 FROM lane, (VALUES (false), (true)) AS retry (is_retry), LATERAL
      (SELECT 1 FROM job WHERE state = 'queued' AND crashes < 2 AND stage = lane.stage AND endpoint = lane.endpoint
         AND job.is_retry = retry.is_retry AND due_at <= $1::bigint LIMIT 1) AS due)
    OR EXISTS (SELECT 1 FROM side_files JOIN job ON job.seq = job_seq WHERE ${OPEN_SIDE_FILES} AND side_files.due_at <= $1)
    OR EXISTS (SELECT 1 FROM job WHERE ${ISOLATED} AND due_at <= $1 AND NOT EXISTS
      (SELECT 1 FROM duty WHERE task = 'alone' AND holder <> $2::bigint AND ${hasLiveHolder('duty.holder')})) AS is_due`
const PAUSE = 'SELECT since, reason FROM operator_pause'

export async function lookAround(
  tx: Transaction,
  options: { readonly now: number; readonly replica: number },
): Promise<{ readonly isDue: boolean; readonly pause: OperatorPause | null }> {
  const [due, pause] = await tx.all([
    { text: LOOK, values: [Math.round(options.now), options.replica] },
    { text: PAUSE, values: [] },
  ])
  return { isDue: due![0]!.is_due as boolean, pause: (pause![0] as OperatorPause | undefined) ?? null }
}
