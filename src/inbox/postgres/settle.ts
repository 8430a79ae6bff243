import { wakesBothStages } from '../../claims.ts'
import type { JobProgress, SideFilesProgress } from '../../job.ts'
import type { Claim, ClaimId, NewAttempt } from '../inbox.ts'
import { afterSettle, isHeld } from '../transitions.ts'
import { ISOLATED } from './candidates.ts'
import type { Transaction } from './lane.ts'
import { type JobTableRow, type SideFilesRow, storedJobOf, storedSideFilesOf } from './rows.ts'
import { createWork, type Effects, type Work } from './work.ts'

/** The end of a claim: of a job's own stage, or of a try at its side files. */
export type Settlement = { readonly claim: Claim; readonly attempt: NewAttempt } & (
  | { readonly next: JobProgress; readonly sideFiles: SideFilesProgress | null }
  | { readonly nextSideFiles: SideFilesProgress | null }
)

/** By settlement: true, false when the claim is lost. */
export type Settled = { readonly settled: readonly boolean[]; readonly effects: Effects }

const IS_ISOLATED_DUE = `SELECT EXISTS (SELECT 1 FROM job WHERE ${ISOLATED} AND due_at <= $1::bigint) AS due`
const NOTED = `SELECT 1 FROM attempt JOIN job ON job.seq = job_seq WHERE job_id = $1 AND attempt.token = $2 AND outcome <> 'crashed'`

/** Settles a batch in one transaction. `isUnknown`: an earlier try at this settlement ended with a lost answer. */
export async function settleBatch(
  tx: Transaction,
  batch: readonly Settlement[],
  options: { readonly source: number; readonly now: number; readonly isUnknown: (claim: ClaimId) => boolean },
): Promise<Settled> {
  const work = createWork(tx, options)
  await work.load(batch.map(({ claim }) => claim.jobId))
  const [isolated] = await tx.query<{ due: boolean }>(IS_ISOLATED_DUE, [Math.round(options.now)])
  const settled: boolean[] = []
  for (const one of batch)
    settled.push(
      settleOne(work, one, options.now, isolated!.due) ||
        (options.isUnknown(one.claim) && (await isNoted(tx, one.claim))),
    )
  await tx.commit(work.statements())
  return { settled, effects: work.effects() }
}

function settleOne(work: Work, one: Settlement, now: number, isIsolatedDue: boolean): boolean {
  const { claim, attempt } = one
  const entry = work.held(claim)
  if (!entry) return false
  const ended = entry.job.progress
  work.noteAttempt(entry, claim.token, attempt)
  if ('next' in one) {
    if (one.sideFiles) work.putSideFiles(entry, one.sideFiles)
    work.put(entry, { job: afterSettle(entry.job, claim, one.next, attempt, now), dropsSideFiles: false })
  } else {
    work.putSideFiles(entry, one.nextSideFiles)
    // A fetch may have waited for the end of this.
    work.wake('fetch', now)
  }
  if (wakesBothStages('next' in one ? ended : { crashes: 0 }, () => isIsolatedDue)) work.wakeAll()
  return true
}

/** The answer to the commit of a settlement was lost: the attempt tells whether it was kept. */
async function isNoted(tx: Transaction, { jobId, token }: ClaimId): Promise<boolean> {
  return (await tx.query(NOTED, [jobId, token])).length > 0
}

/** Which of these claims are lost. */
export async function lostOf<C extends ClaimId>(tx: Transaction, claims: readonly C[]): Promise<readonly C[]> {
  const ids = [claims.map(({ jobId }) => jobId)]
  const [jobs, sideFiles] = await tx.all([
    { text: 'SELECT * FROM job WHERE job_id = ANY($1::text[])', values: ids },
    {
      text: 'SELECT side_files.* FROM side_files JOIN job ON job.seq = job_seq WHERE job_id = ANY($1::text[])',
      values: ids,
    },
  ])
  const rows = new Map((jobs as JobTableRow[]).map((row) => [row.job_id, row]))
  const missing = new Map((sideFiles as SideFilesRow[]).map((row) => [row.job_seq, storedSideFilesOf(row)]))
  return claims.filter((claim) => {
    const row = rows.get(claim.jobId)
    return !row || !isHeld(claim, storedJobOf(row), missing.get(row.seq) ?? null)
  })
}
