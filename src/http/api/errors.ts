import { json, type Reply } from '../replies.ts'

/** What the API refuses with. The words are stable. */

/** What is wrong with a query or a body. `path`: the parameter or member. */
export type Issue = { readonly path: string; readonly message: string }

export function invalidQuery(issues: readonly Issue[]): Reply {
  return json(400, { error: 'invalid_query', issues })
}

/** More match than were expected: nothing was done. */
export function changed(count: number): Reply {
  return json(409, { error: 'changed', count })
}

export function methodNotAllowed(allow: string): Reply {
  return json(405, { error: 'method_not_allowed' }, { allow })
}

export const RUNNING = json(409, { error: 'running' })
export const ERASED = json(409, { error: 'erased' })
export const EXPECTED = json(409, { error: 'expected' })
export const HAS_JOB = json(409, { error: 'has_job' })
export const NO_BODY = json(409, { error: 'no_body' })
export const BODY_CUT = json(409, { error: 'body_cut' })
/** ADMIN_HIDE_CONTENT: for those who may change things, with `content=show`. */
export const CONTENT_HIDDEN = json(403, { error: 'content_hidden' })
/** Others ask at this moment: the answer would hold up the service. */
export const BUSY = json(503, { error: 'busy' }, { 'retry-after': '1' })
