import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JobFilter, JobRow, Ledger, Page } from '../inbox/inbox.ts'
import { type OnSearched, type Rows, type WantedPage, wholePage } from './walk.ts'

/** Reads the metadata of a delivery's text; null when there is none. Never throws. */
export type MetadataOf = (body: string) => unknown

/**
 * `metadata`: as the job was submitted with; null when there is none, or it was erased. `isMetadataOmitted`: it is too large for
 * a list; the job itself has it.
 */
export type ListedJob = JobRow & { readonly metadata: unknown; readonly isMetadataOmitted?: true }

/** Bodies that are read at once: each may have 1 MiB. */
const BODIES_AT_ONCE = 20
/**
 * A list reads the metadata of no larger body, characters: a page of 50 of 1 MiB would hold up the thread that accepts
 * deliveries for seconds. Most have less than 4 KiB.
 */
export const MAX_LISTED_BODY_CHARS = 64 * 1024
/** Characters that are parsed before others have their turn: about a millisecond. */
const CHARS_A_TURN = 32 * 1024

export type ListDeps = { readonly ledger: Pick<Ledger, 'list' | 'bodies'>; readonly metadataOf: MetadataOf }

/** A page of jobs with their metadata, the newest first. `cursor` is the `next` of the page before. */
export async function listJobs(
  deps: ListDeps,
  filter: JobFilter,
  page: WantedPage,
  onSearched: OnSearched = () => {},
): Promise<Rows<ListedJob>> {
  const found = await wholePage((part) => deps.ledger.list(filter, part), page, onSearched)
  return { ...found, rows: await withMetadata(deps, found.rows) }
}

/** The same, as far as the inbox looks at once: a page may be short, or empty, although `next` says that there is more. */
export async function searchJobs(deps: ListDeps, filter: JobFilter, page: Page): Promise<Rows<ListedJob>> {
  const found = await deps.ledger.list(filter, page)
  return { ...found, rows: await withMetadata(deps, found.rows) }
}

/** The same jobs, with the metadata of each one's first delivery. */
export async function withMetadata(
  { ledger, metadataOf }: Pick<ListDeps, 'metadataOf'> & { readonly ledger: Pick<Ledger, 'bodies'> },
  rows: readonly JobRow[],
): Promise<readonly ListedJob[]> {
  const listed: ListedJob[] = []
  let chars = 0
  for (let at = 0; at < rows.length; at += BODIES_AT_ONCE) {
    const part = rows.slice(at, at + BODIES_AT_ONCE)
    const bodies = await ledger.bodies(part.map(({ jobId }) => jobId))
    for (const [index, row] of part.entries()) {
      const body = bodies[index] ?? null
      if (body === null) listed.push({ ...row, metadata: null })
      else if (body.length > MAX_LISTED_BODY_CHARS) listed.push({ ...row, metadata: null, isMetadataOmitted: true })
      else {
        listed.push({ ...row, metadata: metadataOf(body) })
        chars += body.length
      }
      if (chars < CHARS_A_TURN) continue
      chars = 0
      await nextTurn()
    }
  }
  return listed
}
