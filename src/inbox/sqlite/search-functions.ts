import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { JobState } from '../../job.ts'
import { matches, matchesError } from '../search/matches.ts'
import { parseQuery, type SearchQuery } from '../search/query.ts'
import { textOf } from './lookups.ts'
import { SEARCH_ERROR, SEARCH_JOB } from './rows.ts'

/** Gives a connection the functions that compare a job with what was searched for. */
export function defineSearch(db: DatabaseSync): void {
  let last: { readonly q: string; readonly query: SearchQuery | null } | null = null
  function queryOf(q: SQLOutputValue): SearchQuery | null {
    const text = String(q)
    if (last?.q !== text) last = { q: text, query: parseQuery(text) }
    return last.query
  }
  const errorOf = (state: SQLOutputValue, code: SQLOutputValue, message: SQLOutputValue) => ({
    state: state as JobState,
    code: code as string | null,
    message: message as string | null,
  })

  db.function(SEARCH_JOB, (q, state, code, message, body) => {
    const query = queryOf(q)
    const text = body instanceof Uint8Array ? textOf(body) : null
    return query && matches(query, { ...errorOf(state, code, message), body: text }) ? 1 : 0
  })
  db.function(SEARCH_ERROR, (q, state, code, message) => {
    const query = queryOf(q)
    return query && matchesError(query, errorOf(state, code, message)) ? 1 : 0
  })
}
