import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'
import type { EventBus } from '../telemetry/events.ts'
import { peerOf } from './peer.ts'
import { json, type Reply, sendRefusal } from './replies.ts'
import { createSlowDown } from './slow-down.ts'

type Role = 'read' | 'write'

/** Tokens that may change things, and tokens that only see. */
export type Tokens = Readonly<Record<Role, readonly string[]>>

type RolesDeps = { readonly tokens: Tokens; readonly clock: Clock; readonly events: EventBus }

const UNAUTHORIZED = json(401, { error: 'unauthorized' }, { 'www-authenticate': 'Bearer' })
const READ_ONLY = json(403, { error: 'read_only' })
const SLOW_DOWN = json(429, { error: 'slow_down' }, { 'retry-after': '60' })

/**
 * The guards of the operator's routes. A request goes on when its `Authorization: Bearer` is a token of the role, or of
 * one that may do more. Nothing of what was sent is logged. No answer behind a guard may be stored.
 */
export function createRoleGuards({ tokens, clock, events }: RolesDeps): Readonly<Record<Role, RequestHandler>> {
  const known = (['write', 'read'] as const).flatMap((role) =>
    tokens[role].map((token) => ({ role, digest: digest(token) })),
  )
  const slowDown = createSlowDown({ clock })

  /** Compares with every token, so that the time says nothing about any. */
  function roleOf(token: string): Role | null {
    const given = digest(token)
    let found: Role | null = null
    for (const { role, digest: expected } of known) if (timingSafeEqual(given, expected)) found ??= role
    return found
  }

  function refuse(request: Request, response: Response, reply: Reply, reason: string): void {
    events.emit('refused', { endpoint: 'operator', status: reply.status, reason, peer: peerOf(request) })
    sendRefusal(request, response, reply)
  }

  async function refuseToken(request: Request, response: Response): Promise<void> {
    const gone = new AbortController()
    const leave = () => gone.abort(NO_REASON)
    response.once('close', leave)
    const waited = await slowDown.failed(gone.signal)
    response.off('close', leave)
    if (waited === 'too_many') refuse(request, response, SLOW_DOWN, 'slow_down')
    else refuse(request, response, UNAUTHORIZED, 'wrong_token')
  }

  function guard(required: Role): RequestHandler {
    return async (request, response, next) => {
      response.setHeader('cache-control', 'no-store')
      const { authorization } = request.headers
      // Whoever tries no token guesses none.
      if (authorization === undefined) return refuse(request, response, UNAUTHORIZED, 'no_token')
      const token = bearerOf(authorization)
      const role = token === null ? null : roleOf(token)
      if (role === null) return refuseToken(request, response)
      if (required === 'write' && role === 'read') return refuse(request, response, READ_ONLY, 'read_only')
      next()
    }
  }

  return { read: guard('read'), write: guard('write') }
}

/** RFC 9110: the scheme in any case, spaces, the token. */
function bearerOf(authorization: NonNullable<IncomingMessage['headers']['authorization']>): string | null {
  return /^bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1] ?? null
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
