import type { LookupAddress } from 'node:dns'
import { type Asked, NONCE_HEADER } from '../../proof.ts'
import { type CallAnswer, CallFailed, call, SVIX_TIMEOUT_MS } from '../call.ts'
import { type Handshake, handshake, hostOf, lookup, portOf, reach } from '../connect.ts'
import { Skip } from '../finding.ts'
import { pathOf } from '../path.ts'

/** Addresses that are connected to; more are not looked at. */
const MAX_ADDRESSES = 8

/** An address, and whether it takes connections. */
type Reached = { readonly address: string; readonly failure: CallFailed | null }

/** The service as Svix sees it. Each step is made once, and the checks that build on it wait for it. */
export type Outside = {
  /** Of the service, without `/webhook`. */
  readonly base: URL
  /** How long an answer may take, ms. */
  readonly timeout: number
  urlOf(endpoint: string): URL
  /** @throws CallFailed */
  addresses(): Promise<readonly LookupAddress[]>
  reached(): Promise<readonly Reached[]>
  /** Null for http. @throws CallFailed */
  certificate(): Promise<Handshake | null>
  /** The answer to `GET` on the URL of an endpoint, with a challenge if one is given. @throws CallFailed */
  get(endpoint: string, asked: Asked | null): Promise<CallAnswer>
  /** @throws Skip when no request can get through, which another check tells */
  requireConnection(): Promise<void>
}

export function createOutside(base: URL, signal: AbortSignal, timeout = SVIX_TIMEOUT_MS): Outside {
  const memo = <T>(make: () => Promise<T>) => {
    let made: Promise<T> | null = null
    return () => {
      made ??= make()
      // Several checks wait for it, or none.
      made.catch(() => {})
      return made
    }
  }
  const addresses = memo(() => lookup(hostOf(base), signal))
  const reached = memo(async () =>
    Promise.all(
      (await addresses()).slice(0, MAX_ADDRESSES).map(async ({ address }): Promise<Reached> => {
        const failure = await reach(address, portOf(base), signal).then(() => null, asFailure)
        return { address, failure }
      }),
    ),
  )
  const certificate = memo(async () => (base.protocol === 'https:' ? handshake(base, signal) : null))
  const answers = new Map<string, Promise<CallAnswer>>()

  return {
    base,
    timeout,
    urlOf: (endpoint) => new URL(`${base.href.replace(/\/+$/, '')}${pathOf(endpoint)}`),
    addresses,
    reached,
    certificate,
    get(endpoint, asked) {
      const known = answers.get(endpoint)
      if (known) return known
      const headers = asked === null ? {} : { [NONCE_HEADER]: asked.header }
      const made = call(this.urlOf(endpoint), { headers, signal, timeout })
      made.catch(() => {})
      answers.set(endpoint, made)
      return made
    },
    async requireConnection() {
      const found = await reached().catch(() => [])
      if (!found.some(({ failure }) => failure === null)) throw new Skip('there is no connection: see dns and tcp')
      const shown = await certificate().catch(() => undefined)
      if (shown === undefined || shown?.refusal) throw new Skip('there is no valid certificate: see certificate')
    },
  }
}

function asFailure(error: unknown): CallFailed {
  return error instanceof CallFailed ? error : new CallFailed('ECONNRESET', String(error))
}
