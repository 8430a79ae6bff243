import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * How `doctor` finds out that an answer came from this very service, and not from something in front of it. A request
 * carries a nonce, and the answer its proof: an HMAC with a key that is derived from the inbox's own, which nobody else
 * has. Who has that key too, because it can read the inbox, may send a probe: a delivery that is looked at and not
 * recorded.
 */

/** `NONCE`, a challenge; or `NONCE.TIMESTAMP.SEAL`, a probe. */
export const NONCE_HEADER = 'x-receiver-nonce'
export const PROOF_HEADER = 'x-receiver-proof'

/** Base64url. The bounds keep what a stranger may have signed short, and unlike anything else that is signed here. */
const NONCE = /^([\w-]{22,64})(?:\.([1-9]\d{0,11})\.([\w-]{43}))?$/
/**
 * Seconds. A probe that was overheard is of no use later. Longer than the 300 of Svix's signatures, so that what arrives in
 * time for those is never taken for an ordinary delivery.
 */
const MAX_PROBE_AGE_S = 330
/** Random bytes of a nonce. */
const NONCE_BYTES = 24

/** `isProbe`: whoever sent it can read the inbox. */
export type Challenge = { readonly proof: string; readonly isProbe: boolean }

/** What to send, and the proof that must come back. */
export type Asked = { readonly header: string; readonly proof: string }

export type Prover = {
  /** The challenge of a request; null when there is none, or it is malformed. `now`: wall clock, ms. */
  read(header: string | string[] | undefined, now: number): Challenge | null
  /** A new challenge that is a probe, too. */
  probe(now: number): Asked
}

/** `inboxKey`: the inbox's random key. What is signed here can be taken for nothing else that is signed with it. */
export function createProver(inboxKey: Buffer): Prover {
  const key = createHmac('sha256', inboxKey).update('reducto-webhook-receiver proof of identity 1').digest()
  const mac = (...parts: readonly string[]) => createHmac('sha256', key).update(parts.join('\n')).digest('base64url')
  const proofOf = (nonce: string) => mac('proof', nonce)
  const sealOf = (nonce: string, timestamp: string) => mac('probe', nonce, timestamp)

  function isSealed(nonce: string, timestamp: string, seal: string, now: number): boolean {
    if (Math.abs(now / 1000 - Number(timestamp)) > MAX_PROBE_AGE_S) return false
    return timingSafeEqual(Buffer.from(seal), Buffer.from(sealOf(nonce, timestamp)))
  }

  return {
    read(header, now) {
      const [, nonce, timestamp, seal] = (typeof header === 'string' && NONCE.exec(header)) || []
      if (nonce === undefined) return null
      const isProbe = timestamp !== undefined && seal !== undefined && isSealed(nonce, timestamp, seal, now)
      return { proof: proofOf(nonce), isProbe }
    },
    probe(now) {
      const nonce = randomBytes(NONCE_BYTES).toString('base64url')
      const timestamp = String(Math.floor(now / 1000))
      return { header: `${nonce}.${timestamp}.${sealOf(nonce, timestamp)}`, proof: proofOf(nonce) }
    },
  }
}
