import type { Request, RequestHandler, Response } from 'express'
import { InboxUnavailable } from '../inbox/inbox.ts'
import type { Receiver, WebhookEndpoint, WebhookReply } from '../receive/receive.ts'
import { InvalidSignature, type Refusal } from '../receive/verify.ts'
import type { EventBus } from '../telemetry/events.ts'
import { SIGNATURE_REASONS } from '../telemetry/reasons.ts'
import { type BodyReader, BodyRefused } from './body.ts'
import { BODY_ALREADY_READ, BODY_CURE, isBodyTaken } from './mount.ts'
import { peerOf } from './peer.ts'
import { type FindProver, probeReply, prove } from './probe.ts'
import { isClosing, json, type Reply, send, sendRefusal, TIMEOUT, TOO_LARGE, UNAVAILABLE } from './replies.ts'

const REPLIES = {
  accepted: json(200, { received: true }),
  ignored: json(200, { received: true, ignored: 'not a Reducto job update' }),
  duplicate: {
    queued: json(200, { received: true, duplicate: true, job: 'queued' }),
    running: json(200, { received: true, duplicate: true, job: 'running' }),
    done: json(200, { received: true, duplicate: true, job: 'done' }),
  },
  requeued: json(200, { received: true, duplicate: false, requeued: true }),
  requeuedDuplicate: json(200, { received: true, duplicate: true, requeued: true }),
  unknownEndpoint: json(404, { error: 'unknown_endpoint' }),
  wrongMethod: json(405, { error: 'method_not_allowed' }, { allow: 'POST' }),
  timeout: TIMEOUT,
  tooLarge: TOO_LARGE,
  encoding: json(415, { error: 'encoding_not_supported' }),
  unavailable: UNAVAILABLE,
} as const

const INVALID_SIGNATURE = Object.fromEntries(
  SIGNATURE_REASONS.map((reason) => [reason, json(401, { error: 'invalid_signature', reason })]),
) as Record<Refusal, Reply>

export type WebhookDeps = {
  /** Null before and after the time in which deliveries can be recorded. */
  readonly receiver: () => Receiver | null
  readonly bodies: BodyReader
  readonly events: EventBus
  /** Answers challenges and probes; without it they are ordinary requests. */
  readonly prover?: FindProver
}

/** Finds the endpoint of a request. */
export type FindEndpoint = (receiver: Receiver, request: Request) => WebhookEndpoint | null

/**
 * A webhook route. Checks in this order, cheapest first: method, whether the body is unread, endpoint, encoding,
 * headers and timestamp, declared length, the body as it arrives; then the receiver checks UTF-8, signature and
 * payload.
 */
export function webhook(deps: WebhookDeps, findEndpoint: FindEndpoint): RequestHandler {
  const { bodies, events } = deps

  return async (request: Request, response: Response) => {
    let name = 'unknown'
    const challenge = prove(deps.prover, request, response)

    function report(status: number, reason: string, cause?: string): void {
      // What doctor tries is nobody's attack, and no delivery that was lost.
      if (challenge?.isProbe) return
      const peer = peerOf(request)
      events.emit('refused', { endpoint: name, status, reason, peer, ...(cause === undefined ? {} : { cause }) })
    }
    function refuse(reply: Reply, reason: string, cause?: string): void {
      // The connection has had its last answer, and that was reported.
      if (isClosing(request.socket)) return
      report(reply.status, reason, cause)
      sendRefusal(request, response, reply)
    }

    try {
      if (request.method !== 'POST') return refuse(REPLIES.wrongMethod, 'method')
      if (isBodyTaken(request)) return refuse(BODY_ALREADY_READ, 'body_already_read', BODY_CURE)
      const receiver = deps.receiver()
      if (!receiver) return refuse(REPLIES.unavailable, 'not_ready')
      const endpoint = findEndpoint(receiver, request)
      if (!endpoint) return refuse(REPLIES.unknownEndpoint, 'unknown_endpoint')
      name = endpoint.name
      if (request.headers['content-encoding'] !== undefined) return refuse(REPLIES.encoding, 'encoding')
      if (challenge?.isProbe) return send(response, await answerProbe(endpoint))
      const pending = endpoint.check(request.headers)
      bodies.checkLength(request)
      const reply = await bodies.read(request, pending.receive)
      if (reply.is === 'invalid') report(400, 'invalid_payload', reply.reason)
      send(response, answerWith(reply))
    } catch (error) {
      if (error instanceof InvalidSignature) return refuse(INVALID_SIGNATURE[error.reason], error.reason)
      if (error instanceof BodyRefused) return refuseBody(error.why)
      if (error instanceof InboxUnavailable) return refuse(REPLIES.unavailable, `inbox_${error.code}`, error.message)
      throw error
    }

    async function answerProbe(endpoint: WebhookEndpoint): Promise<Reply> {
      bodies.checkLength(request)
      return await bodies.read(request, async (body) => probeReply(endpoint, request, body))
    }

    function refuseBody(why: BodyRefused['why']): void {
      if (why === 'too_large') refuse(REPLIES.tooLarge, 'too_large')
      else if (why === 'timeout') refuse(REPLIES.timeout, 'timeout')
      else if (why === 'too_much_in_flight') refuse(REPLIES.unavailable, 'too_much_in_flight')
      else if (!isClosing(request.socket)) report(0, 'broken_off')
    }
  }
}

function answerWith(reply: WebhookReply): Reply {
  switch (reply.is) {
    case 'accepted':
      return REPLIES.accepted
    case 'duplicate':
      return REPLIES.duplicate[reply.job]
    case 'requeued':
      return reply.duplicate ? REPLIES.requeuedDuplicate : REPLIES.requeued
    case 'ignored':
      return REPLIES.ignored
    case 'invalid':
      return json(400, { error: 'invalid_payload', reason: reply.reason })
  }
}
