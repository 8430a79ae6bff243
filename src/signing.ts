import { createHmac, randomBytes } from 'node:crypto'
import { Webhook } from 'svix'

/** Signs bodies as Standard Webhooks requires, like Svix. */

/** A new signing secret of 24 bytes, like Svix's. */
export function newSecret(): string {
  return `whsec_${randomBytes(24).toString('base64')}`
}

/** A new message id. Like Svix's (KSUIDs), ids are in order of time. */
export function newMessageId(now = Date.now()): string {
  return `msg_${now.toString(36).padStart(9, '0')}${randomBytes(10).toString('hex')}`
}

export type Signed = { readonly id: string; readonly timestamp: string; readonly signature: string }

/** Signs `body` with every secret: during a rotation the old one signs beside the new one. */
export function sign(id: string, at: Date, body: string, secrets: readonly string[]): Signed {
  return {
    id,
    timestamp: String(Math.floor(at.getTime() / 1000)),
    signature: secrets.map((secret) => signOnce(secret, id, at, body)).join(' '),
  }
}

/** From this many characters on, Node's HMAC is worthwhile: svix's takes 9 ms per MiB. */
const MIN_NATIVE = 16 * 1024

function signOnce(secret: string, id: string, at: Date, body: string): string {
  // The library checks the secret, whatever is signed.
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
