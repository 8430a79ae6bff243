import type { RequestHandler } from 'express'
import type { EventBus } from '../telemetry/events.ts'
import { peerOf } from './peer.ts'
import { sendRefusal, UNAVAILABLE } from './replies.ts'
import { type SavedFilesDeps, savedFiles } from './saved-files.ts'

/** Why a link was refused, by the status of the answer. */
const REASONS: Readonly<Record<number, string>> = {
  403: 'link_not_valid',
  404: 'result_not_found',
  503: 'results_not_ready',
}

/** The route of signed links to results; 503 until `saved` returns its dependencies. Reports every refusal. */
export function savedFilesWhenOpen(saved: () => SavedFilesDeps | null, events: EventBus): RequestHandler {
  let handle: RequestHandler | null = null

  return async (request, response, next) => {
    const deps = handle === null ? saved() : null
    if (deps !== null) handle = savedFiles(deps)
    if (handle === null) sendRefusal(request, response, UNAVAILABLE)
    else await handle(request, response, next)
    const { statusCode: status } = response
    if (status < 400) return
    events.emit('refused', {
      endpoint: 'results',
      status,
      reason: REASONS[status] ?? 'result_refused',
      peer: peerOf(request),
    })
  }
}
