import type { Request, Response } from 'express'
import type { z } from 'zod'
import type { Actor } from '../../actor.ts'
import type { AtRisk, Inbox } from '../../inbox/inbox.ts'
import type { Readiness, StatusDeps } from '../../operations/status.ts'
import type { Previews } from '../../operator/preview/previews.ts'
import type { Results } from '../../results/results.ts'
import type { EventBus } from '../../telemetry/events.ts'
import type { Scrub } from '../../telemetry/scrub.ts'
import type { Reply } from '../replies.ts'
import type { Identity } from '../session/identity.ts'

/** The routes of the API as data: Express, the checks of what is sent, the OpenAPI document and the tests are made from it. */

/** What the API works on: the inbox and the results of the running service. */
export type Work = {
  readonly ledger: Inbox
  readonly results: Results
  /** The names of all endpoints. */
  readonly endpoints: readonly string[]
  readonly readiness: () => Readiness
  /** The results that only Reducto has, looked for at most once a minute; null while that is not known. */
  readonly atRisk: () => Promise<AtRisk | null>
  readonly disks: StatusDeps['disks']
  readonly minFree: number
  /** ADMIN_HIDE_CONTENT. */
  readonly hidesContent: boolean
  readonly previews: Previews
  readonly version: string
  readonly now: () => number
  readonly scrub: Scrub
  readonly events: EventBus
}

export type Call<Query, Body> = {
  readonly params: Readonly<Record<string, unknown>>
  readonly query: Query
  readonly body: Body
  readonly identity: Identity
  /** With who calls: what is done is noted as theirs. */
  readonly work: Work & { readonly actor: Actor }
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal
  readonly request: Request
  readonly response: Response
}

/** `value`: plain data, presented as the command line does; a whole reply; or null when the answer is sent already. */
export type Answer = { readonly value: unknown } | Reply | null

/**
 * What a route costs. `question`: a few look-ups; `bulk`: a walk over all jobs, one at a time; `free`: nothing of the inbox.
 */
export type Cost = 'question' | 'bulk' | 'free'

export type ApiRoute = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** In Express's form. */
  readonly path: `/api/${string}`
  readonly caller: 'read' | 'write'
  readonly cost: Cost
  readonly summary: string
  readonly query: z.ZodObject
  /** Null where nothing may be sent. */
  readonly body: z.ZodObject | null
  /** What a 200 has; null for a file. */
  readonly answer: z.ZodType | null
  /** Statuses of refusals beside those that every route has. */
  readonly refusals: readonly (403 | 404 | 409)[]
  readonly handle: (call: Call<Record<string, unknown>, Record<string, unknown>>) => Promise<Answer>
}

/** A route whose handler knows the types of its query and its body. */
export function apiRoute<Query extends z.ZodObject, Body extends z.ZodObject>(
  route: Omit<ApiRoute, 'handle' | 'query' | 'body'> & {
    readonly query: Query
    readonly body: Body | null
    readonly handle: (call: Call<z.output<Query>, z.output<Body>>) => Promise<Answer>
  },
): ApiRoute {
  return route as unknown as ApiRoute
}
