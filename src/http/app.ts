import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import type { EventBus } from '../events.ts'
import type { Receiver } from '../receive/receive.ts'
import { json, sendAndClose } from './answers.ts'
import { type BodyReader, createBodyReader } from './body.ts'
import { type Health, healthz, readyz } from './health.ts'
import { type SavedFilesDeps, savedFiles } from './saved-files.ts'
import { webhook } from './webhook.ts'

export type AppDeps = {
  /** Null until deliveries can be recorded, and when they cannot any more. */
  readonly receiver: () => Receiver | null
  readonly health: Health
  readonly events: EventBus
  readonly bodies?: BodyReader
  /** For the links of forwarded records; without it there are none. */
  readonly saved?: SavedFilesDeps | null
}

/** Who may call a route. Required, so that it cannot be forgotten. `signed`: the route itself verifies its caller. */
type Caller = 'anyone' | 'signed'

type Route = {
  readonly method: 'ALL' | 'GET'
  readonly path: string
  readonly caller: Caller
  readonly handle: RequestHandler
}

/** The whole surface of the service. Webhooks come before anything that costs. */
export function createApp(deps: AppDeps): Express {
  const webhooks = { ...deps, bodies: deps.bodies ?? createBodyReader() }
  const direct = webhook(webhooks, (receiver, request) => receiver.direct(String(request.params.token)))
  const routes: readonly Route[] = [
    // `ALL`, because another method than POST gets an answer of its own.
    {
      method: 'ALL',
      path: '/webhook',
      caller: 'signed',
      handle: webhook(webhooks, (receiver) => receiver.endpoint('default')),
    },
    { method: 'ALL', path: '/webhook/:name', caller: 'signed', handle: webhook(webhooks, namedEndpoint) },
    { method: 'ALL', path: '/webhook/direct/:token', caller: 'signed', handle: direct },
    ...(deps.saved
      ? [{ method: 'GET', path: '/results/:job/*file', caller: 'signed', handle: savedFiles(deps.saved) } as const]
      : []),
    { method: 'GET', path: '/healthz', caller: 'anyone', handle: healthz },
    { method: 'GET', path: '/readyz', caller: 'anyone', handle: readyz(deps.health) },
  ]

  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  for (const { method, path, handle } of routes) {
    if (method === 'ALL') app.all(path, handle)
    else app.get(path, handle)
  }
  app.use(((request, response) => sendAndClose(request, response, NOT_FOUND)) satisfies RequestHandler)
  app.use(failed(deps.events))
  return app
}

const NOT_FOUND = json(404, { error: 'not_found' })
const BAD_REQUEST = json(400, { error: 'bad_request' })
const FAILED = json(500, { error: 'internal_error' })

/** `/webhook/default` is not another name of `/webhook`: an endpoint has one URL. */
function namedEndpoint(receiver: Receiver, request: express.Request) {
  const name = String(request.params.name)
  return name === 'default' ? null : receiver.endpoint(name)
}

/** Express's own error page shows stacks. A path that cannot be decoded is the caller's error, all else is ours. */
function failed(events: EventBus): ErrorRequestHandler {
  return (error, request, response, _next) => {
    if (error instanceof URIError) return sendAndClose(request, response, BAD_REQUEST)
    events.emit('stuck', { what: 'request', error })
    sendAndClose(request, response, FAILED)
  }
}
