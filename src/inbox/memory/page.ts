import type { Page } from '../inbox.ts'

/** A page of rows, which come the newest first, each with a number that its cursor names. `last`: the oldest on it, when there are older ones. */
export function pageOf<Row>(rows: readonly Row[], { limit, cursor }: Page, numberOf: (row: Row) => number) {
  const before = cursor === undefined ? Number.POSITIVE_INFINITY : Number(cursor)
  const older = rows.filter((row) => numberOf(row) < before)
  const found = older.slice(0, limit)
  const last = older.length > found.length ? found.at(-1) : undefined
  return { rows: found, next: last === undefined ? null : String(numberOf(last)), last }
}
