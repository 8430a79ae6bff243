import type { RequestHandler } from 'express'
import type { EventBus } from '../telemetry/events.ts'
import { BodyRefused, createBodyReader } from './body.ts'
import { BODY_ALREADY_READ, BODY_CURE, isBodyTaken } from './mount.ts'
import { peerOf } from './peer.ts'
import { isClosing, type Reply, sendRefusal, TIMEOUT, TOO_LARGE, UNAVAILABLE } from './replies.ts'

type Bounds = { readonly maxBytes: number; readonly inFlight: number }

/** An operator's request names some jobs and filters. `inFlight`: bodies that are read at once, together. Bytes. */
export const OPERATOR_BODY: Bounds = { maxBytes: 64 * 1024, inFlight: 1024 * 1024 }
/** A token, a name and a path, of anyone. */
export const SIGN_IN_BODY: Bounds = { maxBytes: 8 * 1024, inFlight: 256 * 1024 }

const REFUSALS: Readonly<Record<Exclude<BodyRefused['why'], 'broken_off'>, Reply>> = {
  too_large: TOO_LARGE,
  timeout: TIMEOUT,
  too_much_in_flight: UNAVAILABLE,
}

/** Reads the body of a request within its bounds into `response.locals.body`; empty without one. */
export function smallBody(events: EventBus, bounds: Bounds): RequestHandler {
  const bodies = createBodyReader(bounds)

  return async (request, response, next) => {
    function refuse(reply: Reply, reason: string, cause?: string): void {
      if (isClosing(request.socket)) return
      const more = cause === undefined ? {} : { cause }
      events.emit('refused', { endpoint: 'operator', status: reply.status, reason, peer: peerOf(request), ...more })
      sendRefusal(request, response, reply)
    }

    response.locals.body = Buffer.alloc(0)
    const { headers } = request
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
    if (!hasBody) return next()
    if (isBodyTaken(request)) return refuse(BODY_ALREADY_READ, 'body_already_read', BODY_CURE)
    try {
      bodies.checkLength(request)
      response.locals.body = await bodies.read(request, async (body) => body)
    } catch (error) {
      if (!(error instanceof BodyRefused)) throw error
      if (error.why !== 'broken_off') refuse(REFUSALS[error.why], error.why)
      return
    }
    next()
  }
}
