import type { RequestHandler } from 'express'

/**
 * Who may call a route. Required, so that it cannot be forgotten. `signed`: the route itself verifies its caller; `read`:
 * an operator's token; `write`: one that may change things.
 */
type Caller = 'anyone' | 'signed' | 'read' | 'write'

export type Route = {
  readonly method: 'ALL' | 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly caller: Caller
  readonly handle: RequestHandler
}

/** What stands in front of a route. A new kind of caller does not compile without its guard. */
export type Guards = Readonly<Record<Caller, readonly RequestHandler[]>>
