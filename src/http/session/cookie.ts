import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** A session: a cookie that says who signed in, and that only somebody with the token could have made. Nothing is stored. */

export type Role = 'read' | 'write'

/** Tokens that may change things, and tokens that only see. */
export type Tokens = Readonly<Record<Role, readonly string[]>>

/** What a session says. `name`: what the person entered at the sign-in; may be empty. */
export type Session = { readonly role: Role; readonly name: string }

const COOKIE = 'receiver'
/** A working day, seconds. Nobody is asked twice a day, and a forgotten browser is signed out by the next one. */
const SESSION_SECONDS = 12 * 3_600
/** Services on other ports or paths of the same host send their cookie of this name too. */
const MAX_COOKIES = 8
/** Bytes of a name; in base64url they are a third more. */
const MAX_NAME_BYTES = 256

const VALUE = /^(v1\.(read|write)\.([1-9]\d{0,11})\.([\w-]{0,342}))\.([\w-]{43})$/

/** The keys of each role, one for each token: without its token a session ends. */
export function createSessions(tokens: Tokens) {
  const keys = {
    read: tokens.read.map(keyOf),
    write: tokens.write.map(keyOf),
  }

  return {
    /** The `Set-Cookie` of a session that begins at `now` (ms). `token` is the one that was given at the sign-in. */
    begin({ role, name }: Session, token: string, now: number, isSecure: boolean): string {
      const expires = Math.floor(now / 1000) + SESSION_SECONDS
      const encoded = Buffer.from(name).subarray(0, MAX_NAME_BYTES).toString('base64url')
      const signed = `v1.${role}.${expires}.${encoded}`
      return setCookie(`${signed}.${macOf(keyOf(token), signed)}`, SESSION_SECONDS, isSecure)
    },

    /** The first valid session among the cookies of a request; null when there is none. */
    read(header: string | undefined, now: number): Session | null {
      for (const value of valuesIn(header)) {
        const [, signed, role, expires, encoded, mac] = VALUE.exec(value) ?? []
        if (!signed || !mac) continue
        const left = Number(expires) - now / 1000
        // Longer than any session: the clock was ahead when it began.
        if (left <= 0 || left > SESSION_SECONDS + 1) continue
        if (keys[role as Role].some((key) => isEqual(mac, macOf(key, signed))))
          return { role: role as Role, name: Buffer.from(encoded!, 'base64url').toString() }
      }
      return null
    },
  }
}

export type Sessions = ReturnType<typeof createSessions>

/** The `Set-Cookie` that ends a session. */
export function endSession(isSecure: boolean): string {
  return setCookie('', 0, isSecure)
}

/** Whether a request brings a session at all, valid or not. */
export function hasSession(header: string | undefined): boolean {
  return valuesIn(header).length > 0
}

/**
 * No `Path`: the browser takes that of the sign-in, so that the cookie is right below any prefix that a proxy adds. (Names
 * that begin with `__Host-` need one.)
 */
function setCookie(value: string, seconds: number, isSecure: boolean): string {
  return `${COOKIE}=${value}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
}

function valuesIn(header = ''): string[] {
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${COOKIE}=`))
    .slice(0, MAX_COOKIES)
    .map((pair) => pair.slice(COOKIE.length + 1))
}

function keyOf(token: string): Buffer {
  return Buffer.from(hkdfSync('sha256', token, '', 'reducto-webhook-receiver session v1', 32))
}

function macOf(key: Buffer, signed: string): string {
  return createHmac('sha256', key).update(signed).digest('base64url')
}

function isEqual(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other))
}
