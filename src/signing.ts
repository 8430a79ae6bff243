import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'svix'

/** Signs bodies the Standard Webhooks way, as Svix does. */

/** A new signing secret. 24 bytes, as Svix makes them. */
export function newSecret(): string {
  return `whsec_${randomBytes(24).toString('base64')}`
}

/** A new message id. Svix's are in order of time (KSUIDs); so are these. */
export function newMessageId(now = Date.now()): string {
  return `msg_${now.toString(36).padStart(9, '0')}${randomBytes(10).toString('hex')}`
}

export type Signed = { readonly id: string; readonly timestamp: string; readonly signature: string }

/** Signs `body` with every secret: while one is rotated, the old one signs beside the new one. */
export function sign(id: string, at: Date, body: string, secrets: readonly string[]): Signed {
  return {
    id,
    timestamp: String(Math.floor(at.getTime() / 1000)),
    signature: secrets.map((secret) => signOnce(secret, id, at, body)).join(' '),
  }
}

/** From this size on it is worth it to sign with Node's HMAC: svix's takes 9 ms a MiB. Characters. */
const MIN_NATIVE = 16 * 1024

function signOnce(secret: string, id: string, at: Date, body: string): string {
  // It checks the secret, whatever is signed.
  const webhook = new Webhook(secret)
  if (body.length < MIN_NATIVE) return webhook.sign(id, at, body)
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const hmac = createHmac('sha256', key)
    .update(`${id}.${Math.floor(at.getTime() / 1000)}.`)
    .update(body)
  return `v1,${hmac.digest('base64')}`
}

/** The headers of a signed request: Svix's own, or the unbranded ones of the standard. */
export function signatureHeaders(signed: Signed, prefix: 'svix' | 'webhook' = 'svix'): Record<string, string> {
  return {
    [`${prefix}-id`]: signed.id,
    [`${prefix}-timestamp`]: signed.timestamp,
    [`${prefix}-signature`]: signed.signature,
  }
}
