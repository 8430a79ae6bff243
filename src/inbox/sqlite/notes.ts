import { causeOf } from '../../job-cause.ts'
import type { CleanText } from '../../telemetry/scrub.ts'
import { hourOf, MAX_ACTION_IDS, type MinuteCounts, type NewAction } from '../journal.ts'
import type { Statements } from './statements.ts'

/** Writes what is kept for operators beside deliveries and jobs. */
export function createNotes(sql: Statements) {
  function note({ filter, ids, ...action }: NewAction, at: number): number {
    const { lastInsertRowid } = sql.insertAction.run({
      ...{ at, who: action.who, role: action.role, what: action.what, count: action.count },
      filter: filter === null ? null : JSON.stringify(filter),
      ids: JSON.stringify(ids.slice(0, MAX_ACTION_IDS)),
    })
    return Number(lastInsertRowid)
  }

  function count(minutes: readonly MinuteCounts[]): void {
    for (const { at, counts } of minutes)
      for (const [name, by] of Object.entries(counts)) {
        sql.addMinute.run({ at, name, by })
        sql.addHour.run({ at: hourOf(at), name, by })
      }
  }

  /** Of a delivery that concerns no job: the body of another goes with its job's. */
  function eraseDelivery(svixId: string): boolean {
    if (sql.isOther.get({ svixId }) === undefined) return false
    sql.eraseOther.run({ svixId })
    return true
  }

  /** Gives some of the jobs their cause that died before causes were kept. Returns how many. */
  function fillCauses(limit: number): number {
    const found = sql.withoutCause.all({ limit }) as { seq: number; code: string | null; message: string | null }[]
    for (const { seq, code, message } of found) {
      // Without a reason it belongs to no group, and is not looked at again.
      const cause = code === null ? '' : causeOf({ code, message: (message ?? '') as CleanText })
      sql.setCause.run({ seq, cause })
    }
    return found.length
  }

  return { note, count, eraseDelivery, fillCauses }
}
