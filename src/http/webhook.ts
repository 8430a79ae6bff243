import type { Request, RequestHandler, Response } from 'express'
import type { EventBus } from '../events.ts'
import { InboxUnavailable } from '../inbox/inbox.ts'
import type { Answer, Door, Receiver } from '../receive/receive.ts'
import { InvalidSignature, type Refusal } from '../receive/verify.ts'
import { json, type Reply, send, sendAndClose } from './answers.ts'
import { type BodyReader, BodyRefused } from './body.ts'

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
  timeout: json(408, { error: 'timeout' }),
  tooLarge: json(413, { error: 'payload_too_large' }),
  encoding: json(415, { error: 'encoding_not_supported' }),
  unavailable: json(503, { error: 'unavailable' }, { 'retry-after': '5' }),
} as const

const INVALID_SIGNATURE = Object.fromEntries(
  (
    [
      'missing_headers',
      'mixed_headers',
      'bad_timestamp',
      'timestamp_too_old',
      'timestamp_too_new',
      'no_match',
      'not_utf8',
    ] satisfies Refusal[]
  ).map((reason) => [reason, json(401, { error: 'invalid_signature', reason })]),
) as Record<Refusal, Reply>

export type WebhookDeps = {
  /** Null until deliveries can be recorded, and when they cannot any more. */
  readonly receiver: () => Receiver | null
  readonly bodies: BodyReader
  readonly events: EventBus
}

/** The route's handler; `door` finds the endpoint that a request is for. */
export type FindDoor = (receiver: Receiver, request: Request) => Door | null

/**
 * A webhook route. Checks in this order, cheapest first: method, endpoint, encoding, headers and timestamp, declared
 * length, body while it arrives; then the receiver goes on with UTF-8, signature and payload.
 */
export function webhook(deps: WebhookDeps, findDoor: FindDoor): RequestHandler {
  const { bodies, events } = deps

  return async (request: Request, response: Response) => {
    let endpoint = 'unknown'
    function refuse(reply: Reply, reason: string, cause?: string): void {
      events.emit('refused', { endpoint, status: reply.status, reason, ...(cause === undefined ? {} : { cause }) })
      sendAndClose(request, response, reply)
    }

    try {
      if (request.method !== 'POST') return refuse(REPLIES.wrongMethod, 'method')
      const receiver = deps.receiver()
      if (!receiver) return refuse(REPLIES.unavailable, 'not_ready')
      const door = findDoor(receiver, request)
      if (!door) return refuse(REPLIES.unknownEndpoint, 'unknown_endpoint')
      endpoint = door.endpoint
      if (request.headers['content-encoding'] !== undefined) return refuse(REPLIES.encoding, 'encoding')
      const ticket = door.check(request.headers)
      bodies.checkLength(request)
      const answer = await bodies.read(request, ticket.receive)
      send(response, replyTo(answer))
    } catch (error) {
      if (error instanceof InvalidSignature) return refuse(INVALID_SIGNATURE[error.reason], error.reason)
      if (error instanceof BodyRefused) return refuseBody(error.why)
      if (error instanceof InboxUnavailable) return refuse(REPLIES.unavailable, `inbox_${error.code}`, error.message)
      throw error
    }

    function refuseBody(why: BodyRefused['why']): void {
      if (why === 'broken_off') events.emit('refused', { endpoint, status: 0, reason: 'broken_off' })
      else if (why === 'too_large') refuse(REPLIES.tooLarge, 'too_large')
      else if (why === 'timeout') refuse(REPLIES.timeout, 'timeout')
      else refuse(REPLIES.unavailable, 'too_much_in_flight')
    }
  }
}

function replyTo(answer: Answer): Reply {
  switch (answer.is) {
    case 'accepted':
      return REPLIES.accepted
    case 'duplicate':
      return REPLIES.duplicate[answer.job]
    case 'requeued':
      return answer.duplicate ? REPLIES.requeuedDuplicate : REPLIES.requeued
    case 'ignored':
      return REPLIES.ignored
    case 'invalid':
      return json(400, { error: 'invalid_payload', reason: answer.reason })
  }
}
