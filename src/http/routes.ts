import type { RequestHandler } from 'express'

/**
 * Who may call a route. Required, so that it cannot be forgotten. `signed`: the route itself verifies its caller; `visitor`:
 * anyone, before the sign-in. For programs, by token or session, with answers in JSON: `read` an operator; `write` one who may
 * change things. For people, who are led to the sign-in: `page` an operator; `form` one who may change things.
 */
type Caller = 'anyone' | 'signed' | 'visitor' | 'read' | 'write' | 'page' | 'form'

export type Route = {
  readonly method: 'ALL' | 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly caller: Caller
  readonly handle: RequestHandler
}

/** What stands in front of a route. A new kind of caller does not compile without its guard. */
export type Guards = Readonly<Record<Caller, readonly RequestHandler[]>>
