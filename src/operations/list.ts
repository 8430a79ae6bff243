import type { JobFilter, JobRow, Ledger, Page } from '../inbox/inbox.ts'
import { type OnSearched, type Rows, wholePage } from './walk.ts'

/** Reads the metadata of a delivery's text; null when there is none. Never throws. */
export type MetadataOf = (body: string) => unknown

/** `metadata`: as the job was submitted with; null when there is none, or it was erased. */
export type ListedJob = JobRow & { readonly metadata: unknown }

/** Bodies that are read at once: each may have 1 MiB. */
const BODIES_AT_ONCE = 20

export type ListDeps = { readonly ledger: Pick<Ledger, 'list' | 'bodies'>; readonly metadataOf: MetadataOf }

/** A page of jobs with their metadata, the newest first. `cursor` is the `next` of the page before. */
export async function listJobs(
  deps: ListDeps,
  filter: JobFilter,
  page: { readonly limit: number; readonly cursor?: string | undefined },
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
  for (let at = 0; at < rows.length; at += BODIES_AT_ONCE) {
    const part = rows.slice(at, at + BODIES_AT_ONCE)
    const bodies = await ledger.bodies(part.map(({ jobId }) => jobId))
    for (const [index, row] of part.entries()) {
      const body = bodies[index] ?? null
      listed.push({ ...row, metadata: body === null ? null : metadataOf(body) })
    }
  }
  return listed
}
