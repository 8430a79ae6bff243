import type { JobFilter, JobRow, Ledger, Page } from '../inbox/inbox.ts'

/** What was created at this time (ms) or later has been looked through; called after each look that was not the last. */
export type OnSearched = (searchedTo: number) => void

/** A page of rows, as the inbox gives it: it may be short, or empty, although `next` says that there is more. */
export type Rows<Row> = {
  readonly rows: readonly Row[]
  readonly next: string | null
  readonly searchedTo: number | null
}

type GetPage<Row> = (page: Page) => Promise<Rows<Row>>

/** Rows that one request of a walk asks for. */
const ROWS_A_REQUEST = 500

/** Whether to look further: somebody waits for the page. */
type HasTime = () => boolean

/** `hasTime`: the page is given as far as it is when there is none left; `next` says that there is more to search then. */
export type WantedPage = { readonly limit: number; readonly cursor?: string | undefined; readonly hasTime?: HasTime }

/** A page of `limit` rows, or of all that are left: over as many pages of the inbox as that takes. */
export async function wholePage<Row>(
  get: GetPage<Row>,
  { limit, cursor, hasTime = () => true }: WantedPage,
  onSearched: OnSearched,
): Promise<Rows<Row>> {
  const rows: Row[] = []
  let next = cursor
  for (;;) {
    const page = await get({ limit: limit - rows.length, ...from(next) })
    rows.push(...page.rows)
    if (rows.length >= limit || page.next === null || !hasTime()) return { ...page, rows }
    next = page.next
    if (page.searchedTo !== null) onSearched(page.searchedTo)
  }
}

/** All rows, the newest first. */
export async function* allRows<Row>(get: GetPage<Row>, onSearched: OnSearched): AsyncIterable<Row> {
  let next: string | undefined
  for (;;) {
    const page = await get({ limit: ROWS_A_REQUEST, ...from(next) })
    yield* page.rows
    if (page.next === null) return
    next = page.next
    if (page.searchedTo !== null) onSearched(page.searchedTo)
  }
}

/** All jobs that match, the newest first. */
export function allJobs(
  ledger: Pick<Ledger, 'list'>,
  filter: JobFilter,
  onSearched: OnSearched,
): AsyncIterable<JobRow> {
  return allRows((page) => ledger.list(filter, page), onSearched)
}

function from(cursor: string | undefined): { readonly cursor?: string } {
  return cursor === undefined ? {} : { cursor }
}
