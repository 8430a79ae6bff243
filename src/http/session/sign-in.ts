import type { Request, RequestHandler } from 'express'
import type { Clock } from '../../clock.ts'
import { html, redirect, send } from '../replies.ts'
import type { Refusals } from '../roles.ts'
import type { Route } from '../routes.ts'
import { endSession, type Sessions } from './cookie.ts'
import type { Identities } from './identity.ts'
import { safeNext } from './next.ts'
import { isSameOrigin } from './same-origin.ts'

type SignInDeps = {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly identities: Identities
  readonly refusals: Refusals
  /** The page with the form. */
  readonly show: (request: Request, form: SignInForm) => string
  /** Reads the body of a visitor. */
  readonly body: RequestHandler
}

/** The sign-in and the sign-out: before them nobody is known. Both take forms of this origin alone. */
export function signInRoutes(deps: SignInDeps): readonly Route[] {
  const visitor = { caller: 'visitor' } as const
  return [
    { method: 'GET', path: '/sign-in', ...visitor, handle: showForm(deps) },
    { method: 'POST', path: '/sign-in', ...visitor, handle: withBody(deps.body, signIn(deps)) },
    { method: 'POST', path: '/sign-out', ...visitor, handle: signOut(deps) },
  ]
}

/** `next`: where it leads to, from `safeNext`. `isWrong`: the last token was none. */
type SignInForm = { readonly next: string; readonly isWrong: boolean }

function showForm({ show }: SignInDeps): RequestHandler {
  return (request, response) => {
    const { next } = request.query
    const form = { next: safeNext(typeof next === 'string' ? next : ''), isWrong: false }
    send(response, html(200, show(request, form)))
  }
}

function signIn({ clock, sessions, identities, refusals, show }: SignInDeps): RequestHandler {
  return async (request, response) => {
    // Else a page of others could sign somebody in, as somebody else.
    if (!isSameOrigin(request)) return refusals.refuseCrossSite(request, response)
    const form = new URLSearchParams((response.locals.body as Buffer).toString())
    const token = (form.get('token') ?? '').trim()
    const next = safeNext(form.get('next') ?? '')
    const role = identities.roleOf(token)
    if (role === null) {
      const again = html(401, show(request, { next, isWrong: true }), { 'www-authenticate': 'Bearer' })
      return refusals.refuseToken(request, response, again)
    }
    const name = identities.nameIn(form.get('name') ?? '')
    const cookie = sessions.begin({ role, name }, token, clock.now(), isSecure(request))
    send(response, redirect(next, { 'set-cookie': cookie }))
  }
}

function signOut({ refusals }: SignInDeps): RequestHandler {
  return (request, response) => {
    if (!isSameOrigin(request)) return refusals.refuseCrossSite(request, response)
    send(response, redirect('./sign-in', { 'set-cookie': endSession(isSecure(request)) }))
  }
}

/** The browser's own word, so that no setting has to say what is in front of this service. */
function isSecure({ headers }: Request): boolean {
  return headers.origin?.startsWith('https://') ?? false
}

function withBody(read: RequestHandler, handle: RequestHandler): RequestHandler {
  return (request, response, next) =>
    read(request, response, (error) => (error ? next(error) : handle(request, response, next)))
}
