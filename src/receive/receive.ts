import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Content, Intake, Receipt } from '../inbox/inbox.ts'
import type { EventBus } from '../telemetry/events.ts'
import { createGuard } from './check-verifier.ts'
import { parse } from './parse.ts'
import { isSvixTest } from './payload.ts'
import {
  admitDirect,
  type EndpointKeys,
  endpointKeys,
  type Headers,
  InvalidSignature,
  type Refusal,
  readSignature,
  type SignatureHeaders,
  type VerifiedDelivery,
  verify,
} from './verify.ts'

/** The reply to a request that was recorded. */
export type WebhookReply =
  | { readonly is: 'accepted' }
  | { readonly is: 'duplicate'; readonly job: 'queued' | 'running' | 'done' }
  | { readonly is: 'requeued'; readonly duplicate: boolean }
  | { readonly is: 'ignored' }
  | { readonly is: 'invalid'; readonly reason: string }

/** The endpoint of a request: checks everything possible before the body is read, then the rest. */
export type WebhookEndpoint = {
  readonly name: string
  /** @throws InvalidSignature */
  check(headers: Headers): PendingDelivery
  /** Why a delivery would be refused; null when it would be accepted. Records nothing. */
  inspect(headers: Headers, body: Buffer): Refusal | null
}

/** A delivery whose headers are in order; its body may be read. */
type PendingDelivery = {
  /** @throws InvalidSignature, InboxUnavailable, VerifierBroken */
  receive(body: Buffer): Promise<WebhookReply>
}

export type Receiver = {
  /** The endpoint called `name`; null when there is none. */
  endpoint(name: string): WebhookEndpoint | null
  /** The endpoint of Reducto's unsigned direct webhooks; null when it is off or `token` is wrong. */
  direct(token: string): WebhookEndpoint | null
}

export type ReceiverDeps = {
  readonly endpoints: ReadonlyMap<string, readonly string[]>
  readonly directToken: string | null
  readonly inbox: Pick<Intake, 'accept'>
  readonly clock: Clock
  readonly events: EventBus
}

/** From bytes to durable: verify, parse, accept. Knows no HTTP server. */
export function createReceiver(deps: ReceiverDeps): Receiver {
  const { directToken, clock } = deps
  const endpoints = new Map(
    [...deps.endpoints].map(([name, secrets]) => [name, signedEndpoint(endpointKeys(name, secrets))]),
  )
  const guard = createGuard()

  function signedEndpoint(keys: EndpointKeys): WebhookEndpoint {
    return {
      name: keys.endpoint,
      check(headers) {
        const arrivedAt = clock.monotonic()
        const signature = readSignature(headers, clock.now())
        return { receive: (body) => receive(body, signature, keys, arrivedAt) }
      },
      inspect: (headers, body) => refusalOf(() => verify(body, readSignature(headers, clock.now()), keys)),
    }
  }

  async function receive(body: Buffer, signature: SignatureHeaders, keys: EndpointKeys, arrivedAt: number) {
    guard()
    const delivery = verify(body, signature, keys)
    const content = parse(delivery)
    return accept(delivery, delivery.svixId, content, arrivedAt)
  }

  /** Direct webhooks have no id: job and status together identify one, and repeated deliveries have the same ones. */
  async function receiveDirect(body: Buffer, arrivedAt: number) {
    const delivery = admitDirect(body)
    const content = parse(delivery)
    const id = content.is === 'job' ? `${content.jobId}:${content.status}` : digest(delivery.body).toString('hex')
    return accept(delivery, `direct:${id}`, content, arrivedAt)
  }

  async function accept(delivery: VerifiedDelivery, svixId: string, content: Content, arrivedAt: number) {
    const { endpoint, body } = delivery
    const kept = content.is === 'job' ? body : startOf(body)
    const receipt = await deps.inbox.accept({ svixId, endpoint, body: kept, content, receivedAt: clock.now() })
    const reply = replyTo(content, receipt)
    deps.events.emit('delivery', {
      endpoint,
      svixId,
      jobId: content.is === 'job' ? content.jobId : null,
      status: content.is === 'job' ? content.status : null,
      outcome: reply.is,
      ms: clock.monotonic() - arrivedAt,
      ...(content.is === 'ignored' && !isSvixTest(body) ? { unexpected: true } : {}),
    })
    return reply
  }

  const directEndpoint: WebhookEndpoint = {
    name: 'direct',
    check() {
      const arrivedAt = clock.monotonic()
      return { receive: (body) => receiveDirect(body, arrivedAt) }
    },
    inspect: (_headers, body) => refusalOf(() => admitDirect(body)),
  }

  return {
    endpoint: (name) => endpoints.get(name) ?? null,
    direct: (token) => (directToken !== null && sameSecret(token, directToken) ? directEndpoint : null),
  }
}

function refusalOf(check: () => unknown): Refusal | null {
  try {
    check()
    return null
  } catch (error) {
    if (error instanceof InvalidSignature) return error.reason
    throw error
  }
}

function replyTo(content: Content, receipt: Receipt): WebhookReply {
  if (content.is === 'rejected') return { is: 'invalid', reason: content.reason }
  if (content.is === 'ignored' || receipt.job === null) return { is: 'ignored' }
  if (receipt.requeued) return { is: 'requeued', duplicate: receipt.duplicate }
  if (!receipt.duplicate || receipt.job === 'dead' || receipt.job === 'expected') return { is: 'accepted' }
  return { is: 'duplicate', job: receipt.job }
}

/** Maximum bytes kept of a body that concerns no job: enough to identify it, too few to fill a disk. */
const MAX_KEPT_BYTES = 4 * 1024

function startOf(body: string): string {
  return body.length * 3 <= MAX_KEPT_BYTES ? body : Buffer.from(body).subarray(0, MAX_KEPT_BYTES).toString()
}

function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
