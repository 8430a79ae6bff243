import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import type { CleanText, Scrub } from '../../telemetry/scrub.ts'
import { hasSession, type Role, type Sessions, type Tokens } from './cookie.ts'

/** Who calls. `who` is for the log of actions: a name that was claimed, or the role where none was. */
export type Identity = { readonly role: Role; readonly who: CleanText; readonly by: 'bearer' | 'session' }

/**
 * `no_token`: nothing was tried; `session_ended`: a cookie that is not, or no longer, valid; `other_scheme`: something else than
 * a token was tried, or is for a proxy in front.
 */
type Unknown = 'no_token' | 'wrong_token' | 'other_scheme' | 'session_ended'

type IdentityDeps = {
  readonly tokens: Tokens
  readonly sessions: Sessions
  readonly now: () => number
  readonly scrub: Scrub
}

/** Characters of a name. */
const MAX_NAME_CHARS = 64

export type Identities = {
  /** The role of a token; null when it is none of ours. Compares with every one, so that the time says nothing of any. */
  roleOf(token: string): Role | null
  /** Who calls; null when nobody that is known. */
  identityOf(request: Request): Identity | null
  /** The same, with the reason why nobody is known. */
  identify(request: Request): Identity | Unknown
  /** A name that somebody claims, as it may be kept and shown; may be empty. */
  nameIn(text: string): CleanText
}

/** Knows callers by `Authorization: Bearer` or by their session. With a Bearer the session does not count. */
export function createIdentities({ tokens, sessions, now, scrub }: IdentityDeps): Identities {
  const known = (['write', 'read'] as const).flatMap((role) =>
    tokens[role].map((token) => ({ role, digest: digest(token) })),
  )

  function roleOf(token: string): Role | null {
    const given = digest(token)
    let found: Role | null = null
    for (const { role, digest: expected } of known) if (timingSafeEqual(given, expected)) found ??= role
    return found
  }

  /** Without characters that show as nothing, or as another text. Scrubbed: a token is pasted into the wrong field soon. */
  function nameIn(text: string): CleanText {
    const visible = text.normalize('NFC').replace(/\s+/g, ' ').replace(/\p{C}/gu, '').trim()
    return scrub([...visible].slice(0, MAX_NAME_CHARS).join(''))
  }

  function identify(request: Request): Identity | Unknown {
    const { authorization, cookie } = request.headers
    const who = (name: string, role: Role) => nameIn(forwardedUser(request) ?? '') || nameIn(name) || nameIn(role)
    if (authorization !== undefined && /^bearer\b/i.test(authorization)) {
      const token = bearerOf(authorization)
      const role = token === null ? null : roleOf(token)
      return role === null ? 'wrong_token' : { role, who: who('', role), by: 'bearer' }
    }
    // A proxy in front may have a password of its own, which the browser sends along.
    if (hasSession(cookie)) {
      const session = sessions.read(cookie, now())
      return session === null
        ? 'session_ended'
        : { role: session.role, who: who(session.name, session.role), by: 'session' }
    }
    return authorization === undefined ? 'no_token' : 'other_scheme'
  }

  function identityOf(request: Request): Identity | null {
    const found = identify(request)
    return typeof found === 'string' ? null : found
  }

  return { roleOf, identityOf, identify, nameIn }
}

/** Who calls a route that has let the caller in. */
export function identityIn(response: Response): Identity {
  return response.locals.identity as Identity
}

/** RFC 9110: the scheme in any case, spaces, the token. */
function bearerOf(authorization: string): string | null {
  return /^bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1] ?? null
}

/** The user as a proxy in front has authenticated them; null unless TRUST_PROXY names the one that sent the request. */
function forwardedUser(request: Request): string | null {
  const isTrusted = request.app.get('trust proxy fn') as unknown
  const { remoteAddress } = request.socket
  if (typeof isTrusted !== 'function' || remoteAddress === undefined || !isTrusted(remoteAddress, 0)) return null
  return request.get('x-forwarded-user') || request.get('x-forwarded-email') || null
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
