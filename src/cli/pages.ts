import type { JobFilter, JobPage, JobRow, Ledger } from '../inbox/inbox.ts'

/** Jobs created at this time (ms) or later have been looked through; called after each look that was not the last. */
export type OnSearched = (searchedTo: number) => void

type Lists = Pick<Ledger, 'list'>

/**
 * A page of jobs: `limit` of them, or all that are left. The inbox looks for a moment only, so that one of its pages may be
 * short, or empty, although there is more.
 */
export async function wholePage(
  ledger: Lists,
  filter: JobFilter,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  onSearched: OnSearched,
): Promise<JobPage> {
  const rows: JobRow[] = []
  let next = cursor
  for (;;) {
    const page = await ledger.list(filter, { limit: limit - rows.length, ...from(next) })
    rows.push(...page.rows)
    if (rows.length >= limit || page.next === null) return { ...page, rows }
    next = page.next
    if (page.searchedTo !== null) onSearched(page.searchedTo)
  }
}

/** All jobs that match, the newest first. */
export async function* allJobs(ledger: Lists, filter: JobFilter, onSearched: OnSearched): AsyncIterable<JobRow> {
  let next: string | undefined
  for (;;) {
    const page = await ledger.list(filter, { limit: 500, ...from(next) })
    yield* page.rows
    if (page.next === null) return
    next = page.next
    if (page.searchedTo !== null) onSearched(page.searchedTo)
  }
}

function from(cursor: string | undefined): { readonly cursor?: string } {
  return cursor === undefined ? {} : { cursor }
}

type Terminal = { readonly isTTY?: boolean; write(text: string): unknown }

const CLEAR_LINE = '\r\x1b[K'

/** Tells how far a search has come, on one line that `end` removes; nothing where no person looks on. */
export function showSearched(terminal: Terminal): { readonly searched: OnSearched; end(): void } {
  let isShown = false
  return {
    searched(searchedTo) {
      if (!terminal.isTTY) return
      terminal.write(`${CLEAR_LINE}searched back to ${new Date(searchedTo).toISOString()}`)
      isShown = true
    },
    end() {
      if (isShown) terminal.write(CLEAR_LINE)
      isShown = false
    },
  }
}
