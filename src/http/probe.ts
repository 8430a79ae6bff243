import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Challenge, NONCE_HEADER, PROOF_HEADER, type Prover } from '../proof.ts'
import type { WebhookEndpoint } from '../receive/receive.ts'
import { packageVersion } from '../version.ts'
import { json, type Reply } from './replies.ts'

/** Null until the inbox is open, and after. */
export type FindProver = () => Prover | null

/** Whatever the answer will be, it proves that it is this service's, if the request asks for that. */
export function prove(find: FindProver | undefined, request: IncomingMessage, response: ServerResponse) {
  const header = request.headers[NONCE_HEADER]
  const challenge: Challenge | null = header === undefined ? null : (find?.()?.read(header, Date.now()) ?? null)
  if (challenge) response.setHeader(PROOF_HEADER, challenge.proof)
  return challenge
}

/** Headers whose values are shown: those of the delivery, and where it came through. Others may hold a proxy's secrets. */
const SHOWN: readonly string[] = [
  ...['svix-id', 'svix-timestamp', 'svix-signature', 'webhook-id', 'webhook-timestamp', 'webhook-signature'],
  ...['content-type', 'content-length', 'transfer-encoding', 'host', 'x-forwarded-proto', 'via'],
]

/** A probe as it arrived. It is answered with the status that a delivery would have had, and nothing is recorded. */
export function probeReply(endpoint: WebhookEndpoint, request: IncomingMessage, body: Buffer): Reply {
  const { headers } = request
  const shown = SHOWN.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))
  const reason = endpoint.inspect(headers, body)
  const probe = {
    endpoint: endpoint.name,
    version: packageVersion(),
    signature: reason ?? 'valid',
    bytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
    header_names: Object.keys(headers),
    headers: Object.fromEntries(shown),
  }
  return reason === null ? json(200, { probe }) : json(401, { error: 'invalid_signature', reason, probe })
}
