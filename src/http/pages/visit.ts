import type { Request, Response } from 'express'
import type { Actor } from '../../actor.ts'
import { type Page, type Query, to } from '../../operator/page.ts'
import { redirect, send } from '../replies.ts'
import { identityIn } from '../session/identity.ts'
import type { Opened, PagesDeps } from './deps.ts'

/** One request for a page, by somebody who may make it, while the service runs. */
export type Visit = {
  readonly request: Request
  readonly response: Response
  readonly deps: PagesDeps
  readonly opened: Opened
  readonly page: Page
  readonly root: string
  /** Aborts when the visitor has gone, or the page has taken too long. */
  readonly end: AbortSignal
  /** Who does what is done. */
  readonly actor: Actor
  /** How the caller reaches the service, as far as it says so. */
  readonly origin: string
  /** The fields of a form. */
  readonly form: URLSearchParams
  /** Leads on to another page. */
  goTo(path: readonly string[], query?: Query): void
}

export type Handle = (visit: Visit) => Promise<void>

export function visitOf(parts: Omit<Visit, 'root' | 'actor' | 'origin' | 'form' | 'goTo'>): Visit {
  const { request, response, page } = parts
  const { root } = page
  const identity = identityIn(response)
  const body: unknown = response.locals.body
  return {
    ...parts,
    root,
    actor: { who: identity.who, role: identity.role },
    origin: `${request.protocol}://${request.get('host') ?? 'localhost'}${request.baseUrl}`,
    form: new URLSearchParams(Buffer.isBuffer(body) ? body.toString() : ''),
    goTo: (path, query) => send(response, redirect(to({ root }, path, query))),
  }
}
