import { isUtf8 } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Webhook, WebhookVerificationError } from 'svix'
import type { SIGNATURE_REASONS } from '../telemetry/reasons.ts'

/** Why a request is not trusted. The names are part of the 401 answer. */
export type Refusal = (typeof SIGNATURE_REASONS)[number]

/** The request cannot be trusted; no part of it may be recorded. */
export class InvalidSignature extends Error {
  readonly reason: Refusal
  constructor(reason: Refusal) {
    super(`invalid signature: ${reason}`)
    this.name = 'InvalidSignature'
    this.reason = reason
  }
}

/** The headers of a request in lower case, as Node's HTTP server provides them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** A complete set of signature headers with a fresh timestamp; not yet verified. */
export type SignatureHeaders = { readonly id: string; readonly timestamp: string; readonly signature: string }

declare const verified: unique symbol

/**
 * Proof that a body was signed for an endpoint. Only this file creates one, so that code that skips verification does
 * not compile.
 */
export type VerifiedDelivery = {
  readonly [verified]: true
  readonly svixId: string
  readonly endpoint: string
  readonly body: string
}

/** One secret: Svix's library, which decides, and the key itself. */
type SigningKey = { readonly webhook: Webhook; readonly bytes: Buffer }

/** The keys that check an endpoint's signatures: one for each of its secrets. */
export type EndpointKeys = { readonly endpoint: string; readonly keys: readonly SigningKey[] }

/** Svix's tolerance. */
const TOLERANCE_SECONDS = 300
/**
 * Svix's library takes 9 ms for 1 MiB and each secret. Larger bodies than this, in bytes, are first checked with Node's
 * HMAC, which is 14 times faster, so that a forged body never reaches the library. For ordinary bodies the library
 * alone is faster.
 */
export const MAX_UNSCREENED_BYTES = 16 * 1024

export function endpointKeys(endpoint: string, secrets: readonly string[]): EndpointKeys {
  const keys = secrets.map((secret) => ({
    webhook: new Webhook(secret),
    bytes: Buffer.from(secret.replace(/^whsec_/, ''), 'base64'),
  }))
  return { endpoint, keys }
}

/**
 * Reads `svix-*`, or the unbranded `webhook-*`, and checks the timestamp against `now` (ms): everything that can be
 * refused before the body is read.
 *
 * A mix is refused, because Svix's library prefers `svix-id` to `webhook-id` header by header: the verified id and the
 * recorded id must be the same. The library also accepts `1700000000abc` as a timestamp; this function does not.
 * @throws InvalidSignature
 */
export function readSignature(headers: Headers, now: number): SignatureHeaders {
  const svix = headerSet(headers, 'svix')
  const unbranded = headerSet(headers, 'webhook')
  if (svix.present && unbranded.present) throw new InvalidSignature('mixed_headers')
  const { id, timestamp, signature } = svix.present ? svix : unbranded
  if (!id || !timestamp || !signature) throw new InvalidSignature('missing_headers')
  if (!/^[1-9]\d{0,11}$/.test(timestamp)) throw new InvalidSignature('bad_timestamp')
  const age = Math.floor(now / 1000) - Number(timestamp)
  if (age > TOLERANCE_SECONDS) throw new InvalidSignature('timestamp_too_old')
  if (age < -TOLERANCE_SECONDS) throw new InvalidSignature('timestamp_too_new')
  return { id, timestamp, signature }
}

/**
 * Checks `body` against every secret of the endpoint.
 *
 * Svix's library decodes a Buffer to a string before it hashes it, so that bytes other than the signed ones could pass.
 * Therefore only valid UTF-8, for which decoding is exact, is passed to it.
 * @throws InvalidSignature
 */
export function verify(body: Buffer, signature: SignatureHeaders, { endpoint, keys }: EndpointKeys): VerifiedDelivery {
  if (!isUtf8(body)) throw new InvalidSignature('not_utf8')
  const text = body.toString('utf8')
  const headers = {
    'svix-id': signature.id,
    'svix-timestamp': signature.timestamp,
    'svix-signature': signature.signature,
  }
  const isGenuine = keys.some(
    ({ webhook, bytes }) =>
      (body.length <= MAX_UNSCREENED_BYTES || isLikely(body, signature, bytes)) && matches(webhook, text, headers),
  )
  if (!isGenuine) throw new InvalidSignature('no_match')
  return trusted(signature.id, endpoint, text)
}

/**
 * Admits a body of the direct route, whose secret token the caller has checked: Reducto does not sign these bodies, and
 * they have no id.
 * @throws InvalidSignature
 */
export function admitDirect(body: Buffer): VerifiedDelivery {
  if (!isUtf8(body)) throw new InvalidSignature('not_utf8')
  return trusted('', 'direct', body.toString('utf8'))
}

function trusted(svixId: string, endpoint: string, body: string): VerifiedDelivery {
  return { svixId, endpoint, body } as VerifiedDelivery
}

function matches(webhook: Webhook, text: string, headers: Record<string, string>): boolean {
  try {
    // Returns nothing since svix 2: a valid signature does not throw.
    webhook.verify(text, headers)
    return true
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false
    throw error
  }
}

/**
 * Whether Node's HMAC matches one of the signatures. Compares in constant time; the length of a signature is not
 * secret.
 */
function isLikely(body: Buffer, { id, timestamp, signature }: SignatureHeaders, key: Buffer): boolean {
  const expected = Buffer.from(
    `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`,
  )
  return signature.split(' ').some((given) => {
    const bytes = Buffer.from(given)
    return bytes.length === expected.length && timingSafeEqual(bytes, expected)
  })
}

function headerSet(headers: Headers, prefix: 'svix' | 'webhook') {
  const id = single(headers[`${prefix}-id`])
  const timestamp = single(headers[`${prefix}-timestamp`])
  const signature = single(headers[`${prefix}-signature`])
  return { id, timestamp, signature, present: id !== undefined || timestamp !== undefined || signature !== undefined }
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
