import type { Clock } from '../../clock.ts'
import { systemClock } from '../../clock.ts'
import type { About, Fleet } from '../fleet.ts'
import { type ClaimId, DatabaseRefused, type Inbox, InboxUnavailable, type Ledger } from '../inbox.ts'
import type { InboxWatch } from '../watch.ts'
import { tlsMode } from './connect.ts'
import { mayPass, sqlState } from './errors.ts'
import { openPostgres } from './inbox.ts'

type Place = { readonly url: string; readonly location: string }

type ServiceOptions = {
  readonly clock: Clock
  readonly about: About
  readonly signal: AbortSignal
  readonly onWait: (why: 'unreachable', message: string) => void
  readonly onLost: (claims: readonly ClaimId[]) => void
  readonly onWarning: (message: string) => void
  readonly onDeath: (error: Error) => void
} & InboxWatch

/** How often a database that does not answer at the start is tried, ms. */
const RETRY_EVERY_MS = 1_000

/**
 * Opens the inbox for a service. While the database does not answer it waits, as the service would in an outage later.
 * @throws DatabaseRefused, or the signal's reason
 */
export async function openForService(place: Place, options: ServiceOptions): Promise<Inbox> {
  warnOfTls(place, options.onWarning)
  for (let tries = 1; ; tries++) {
    try {
      return await orAborted(openPostgres({ ...options, place, isService: true }), options.signal)
    } catch (error) {
      options.signal.throwIfAborted()
      const refusal = refusalOf(error, place)
      if (refusal) throw refusal
      if (tries === 1) options.onWait('unreachable', messageOf(error))
      await options.clock.sleep(RETRY_EVERY_MS, options.signal)
      options.signal.throwIfAborted()
    }
  }
}

/** A start that hangs does not hold up a stop. What opens all the same is closed. */
async function orAborted(opening: Promise<Inbox>, signal: AbortSignal): Promise<Inbox> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([opening, aborted.promise])
  } catch (error) {
    void opening.then((inbox) => inbox.close()).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Opens the operators' view, for a command beside the services. @throws DatabaseRefused */
export async function openForCommand(place: Place): Promise<Ledger & Fleet & { close(): Promise<void> }> {
  try {
    return await openPostgres({
      ...{ place, clock: systemClock, isService: false },
      about: { version: '', settings: {}, results: null, concurrency: 0 },
      ...{ onLost() {}, onWarning() {}, onDeath() {} },
    })
  } catch (error) {
    throw refusalOf(error, place) ?? new Error(`${place.location} does not answer: ${messageOf(error)}`)
  }
}

/** What needs a person, rather than time; null for all else. */
function refusalOf(error: unknown, { location }: Place): DatabaseRefused | null {
  if (error instanceof DatabaseRefused) return error
  const cause = error instanceof InboxUnavailable ? error.cause : error
  const code = sqlState(cause)
  const message = messageOf(cause)
  if (code?.startsWith('28')) return new DatabaseRefused(`${location} refuses this user or password (${message})`)
  if (code === '3D000') return new DatabaseRefused(`${location}: there is no such database (${message}): create it`)
  if (code === '42501') return new DatabaseRefused(`${location}: the role lacks a right (${message})`)
  if (code === null && /certificate|self.signed|does not support SSL|altname/i.test(message))
    return new DatabaseRefused(
      `${location}: the connection cannot be encrypted as sslmode asks (${message}); see docs/postgresql.md`,
    )
  if (mayPass(cause)) return null
  return new DatabaseRefused(`${location}: ${message}`)
}

/** Node puts the errors of several addresses into one without a message. */
function messageOf(error: unknown): string {
  const { message, errors } = error as Error & { errors?: readonly Error[] }
  return message || errors?.map((one) => one.message).join('; ') || String(error)
}

function warnOfTls({ url, location }: Place, onWarning: (message: string) => void): void {
  if (/[?&]host=(%2f|\/)/i.test(url) || /@?(localhost|127\.0\.0\.1|\[::1\])[:/]/.test(location)) return
  const mode = tlsMode(url)
  if (mode !== 'verify-full' && mode !== 'verify-ca')
    onWarning(
      `sslmode=${mode}: nobody verifies that ${location} is the database and no other; use sslmode=verify-full, with sslrootcert for a certificate of its own`,
    )
}
