/** Rows that one statement looks at. */
export const STEP_ROWS = 5_000
/** The same where their bodies, of up to 1 MiB each, have to be read. */
export const STEP_BODIES = 200
/** A request looks for this long at most, ms; then it says how far it got. */
const MAX_REQUEST_MS = 40

/** `before`: where the walk begins. `newest`: the highest number there is. `enough`: rows that it stops after. */
type Walk<Row> = {
  readonly before: number
  readonly newest: number
  readonly enough: number
  /** Where a step ends that begins below `before`: the lowest number that it looks at. */
  stepFrom(before: number): Promise<number>
  /** Up to `limit` rows that match, of those from `from` up to below `before`, the newest first. */
  read(range: { readonly before: number; readonly from: number; readonly limit: number }): Promise<readonly Row[]>
}

/**
 * Walks rows from the newest below `before`, a step at a time, until enough match or the time is over. `next` is where the
 * walk goes on; null when there is nothing older.
 */
export async function walkDown<Row extends { readonly seq: number }>(walk: Walk<Row>) {
  const rows: Row[] = []
  const deadline = performance.now() + MAX_REQUEST_MS
  let at = Math.min(walk.before, walk.newest + 1)
  while (at > 1) {
    const from = Math.max(await walk.stepFrom(at), 1)
    const limit = walk.enough - rows.length
    const found = await walk.read({ before: at, from, limit })
    rows.push(...found)
    at = found.length === limit ? found.at(-1)!.seq : from
    if (rows.length >= walk.enough || performance.now() >= deadline) break
  }
  return { rows, next: at > 1 ? at : null }
}

/** Where a page begins: below the number that its cursor names, or at the newest. */
export function cursorOf({ cursor }: { readonly cursor?: string }): number {
  return cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor)
}
