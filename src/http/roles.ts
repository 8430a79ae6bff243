import type { Request, RequestHandler, Response } from 'express'
import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'
import type { EventBus } from '../telemetry/events.ts'
import { peerOf } from './peer.ts'
import { html, json, type Reply, redirect, sendRefusal } from './replies.ts'
import { hasSession, type Role } from './session/cookie.ts'
import type { Identities } from './session/identity.ts'
import { rootFrom } from './session/next.ts'
import { isNavigationFromElsewhere, isSameOrigin } from './session/same-origin.ts'
import { createSlowDown } from './slow-down.ts'

const UNAUTHORIZED = json(401, { error: 'unauthorized' }, { 'www-authenticate': 'Bearer' })
const READ_ONLY = json(403, { error: 'read_only' })
const CROSS_SITE = json(403, { error: 'cross_site' })
const SLOW_DOWN = json(429, { error: 'slow_down' }, { 'retry-after': '60' })

/** The browser asks again, from a page of ours now, and sends the cookie that it keeps back from links of others. */
const ASK_AGAIN = html(
  200,
  '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0"><title>Receiver</title></head></html>\n',
)

export type Refusals = {
  /** Refuses a call and tells of it. Nothing of what was sent is logged. */
  refuse(request: Request, response: Response, reply: Reply, reason: string): void
  /** The same for a wrong token: guesses are slowed down, wherever they are made. */
  refuseToken(request: Request, response: Response, reply?: Reply): Promise<void>
  /** The same for a page of another origin that makes use of a session. */
  refuseCrossSite(request: Request, response: Response): void
}

/** One for the whole surface: guesses count together. */
export function createRefusals({ clock, events }: { readonly clock: Clock; readonly events: EventBus }): Refusals {
  const slowDown = createSlowDown({ clock })

  function refuse(request: Request, response: Response, reply: Reply, reason: string): void {
    events.emit('refused', { endpoint: 'operator', status: reply.status, reason, peer: peerOf(request) })
    sendRefusal(request, response, reply)
  }

  async function refuseToken(request: Request, response: Response, reply = UNAUTHORIZED): Promise<void> {
    const gone = new AbortController()
    const leave = () => gone.abort(NO_REASON)
    response.once('close', leave)
    const waited = await slowDown.failed(gone.signal)
    response.off('close', leave)
    if (waited === 'too_many') refuse(request, response, SLOW_DOWN, 'slow_down')
    else refuse(request, response, reply, 'wrong_token')
  }

  return {
    refuse,
    refuseToken,
    refuseCrossSite: (request, response) => refuse(request, response, CROSS_SITE, 'cross_site'),
  }
}

/**
 * The guards of the operator's routes. A request goes on when its token or its session has the role, or one that may do more;
 * who calls is in `identityIn(response)` then.
 */
export function createRoleGuards(
  identities: Identities,
  refusals: Refusals,
): Readonly<Record<'read' | 'write' | 'page' | 'form', RequestHandler>> {
  const { refuse, refuseToken, refuseCrossSite } = refusals

  function guard(required: Role, face: 'program' | 'person'): RequestHandler {
    return async (request, response, next) => {
      const caller = identities.identify(request)
      // A browser sends the password of a proxy in front along, which must not keep a person from the sign-in.
      const isGuess = caller === 'wrong_token' || (caller === 'other_scheme' && face === 'program')
      if (isGuess) return refuseToken(request, response)
      if (typeof caller === 'string') {
        if (face === 'person') return sendRefusal(request, response, askToSignIn(request))
        // Whoever tries no token guesses none.
        if (caller === 'no_token') return refuse(request, response, UNAUTHORIZED, 'no_token')
        return refuse(request, response, UNAUTHORIZED, 'session_ended')
      }
      if (required === 'write' && caller.role === 'read') return refuse(request, response, READ_ONLY, 'read_only')
      if (caller.by === 'session' && isChange(request) && !isSameOrigin(request))
        return refuseCrossSite(request, response)
      response.locals.identity = caller
      next()
    }
  }

  return {
    read: guard('read', 'program'),
    write: guard('write', 'program'),
    page: guard('read', 'person'),
    form: guard('write', 'person'),
  }
}

/** Whatever the method of a route is today. */
function isChange({ method }: Request): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

function askToSignIn(request: Request): Reply {
  const root = rootFrom(request.path)
  if (isChange(request)) return redirect(`${root}sign-in`)
  if (isNavigationFromElsewhere(request) && !hasSession(request.headers.cookie)) return ASK_AGAIN
  const next = request.url.slice(1)
  return redirect(`${root}sign-in${next === '' ? '' : `?next=${encodeURIComponent(next)}`}`)
}
