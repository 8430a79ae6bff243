import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import type { EventBus } from '../events.ts'
import type { Receiver } from '../receive/receive.ts'
import { type BodyReader, createBodyReader } from './body.ts'
import { type Health, healthz, readyz } from './health.ts'
import { mountable, WRONG_VERSION } from './mount.ts'
import { peerOf, peerOfSocket } from './peer.ts'
import { BAD_REQUEST, FAILED, NOT_FOUND, send, sendAndClose, sendRefusal } from './replies.ts'
import { savedFilesWhenOpen } from './results-route.ts'
import type { SavedFilesDeps } from './saved-files.ts'
import { webhook } from './webhook.ts'

export type AppDeps = {
  /** Null before and after the time in which deliveries can be recorded. */
  readonly receiver: () => Receiver | null
  readonly health: Health
  readonly events: EventBus
  /** The proxies that are trusted to report the caller's address: Express's `trust proxy`. Default: none. */
  readonly trustProxy?: boolean | number | string | readonly string[]
  readonly bodies?: BodyReader
  /** For the links of forwarded records; without it there are no links. Returns null until results can be read. */
  readonly saved?: (() => SavedFilesDeps | null) | null
}

/** Who may call a route. Required, so that it cannot be forgotten. `signed`: the route verifies its caller itself. */
type Caller = 'anyone' | 'signed'

/** The guards before a route. A new kind of caller does not compile without its guard. */
const GUARDS: Readonly<Record<Caller, readonly RequestHandler[]>> = { anyone: [], signed: [] }

type Route = {
  readonly method: 'ALL' | 'GET'
  readonly path: string
  readonly caller: Caller
  readonly handle: RequestHandler
}

/** The routes for deliveries, and for the links to results. Webhooks come before anything expensive. */
function receiverRoutes(deps: AppDeps): readonly Route[] {
  const webhooks = { ...deps, bodies: deps.bodies ?? createBodyReader() }
  const direct = webhook(webhooks, (receiver, request) => receiver.direct(String(request.params.token)))
  return [
    // `ALL`, because methods other than POST get their own answer.
    {
      method: 'ALL',
      path: '/webhook',
      caller: 'signed',
      handle: webhook(webhooks, (receiver) => receiver.endpoint('default')),
    },
    { method: 'ALL', path: '/webhook/:name', caller: 'signed', handle: webhook(webhooks, namedEndpoint) },
    { method: 'ALL', path: '/webhook/direct/:token', caller: 'signed', handle: direct },
    ...(deps.saved
      ? [
          {
            method: 'GET',
            path: '/results/:job/*file',
            caller: 'signed',
            handle: savedFilesWhenOpen(deps.saved, deps.events),
          } as const,
        ]
      : []),
  ]
}

/** All routes of the service; any other path is not found. */
export function createApp(deps: AppDeps): Express {
  const { events } = deps
  const app = appWith([
    ...receiverRoutes(deps),
    { method: 'GET', path: '/healthz', caller: 'anyone', handle: healthz },
    { method: 'GET', path: '/readyz', caller: 'anyone', handle: readyz(deps.health) },
  ])
  app.set('trust proxy', deps.trustProxy ?? false)
  app.use(notFound(events))
  app.use(errorHandler(events))
  return app
}

/** The routes for another app, under any of its paths. Other requests are left to that app. */
export function createMountable(deps: Omit<AppDeps, 'health' | 'trustProxy'>): Express {
  const routes = receiverRoutes({ ...deps, health: () => ({ notReady: [], degraded: [] }) })
  const roots = new Set(routes.map(({ path }) => path.split('/')[1]!))
  const owns = (path: string) => roots.has(path.split('/')[1]!)
  const app = mountable(appWith(routes), owns, (request, response) => {
    const peer = peerOfSocket(request.socket)
    deps.events.emit('refused', { endpoint: 'unknown', status: WRONG_VERSION.status, reason: 'http_version', peer })
    send(response, WRONG_VERSION)
  })
  app.use(failed(deps.events))
  return app
}

function appWith(routes: readonly Route[]): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  for (const { method, path, caller, handle } of routes) {
    if (method === 'ALL') app.all(path, ...GUARDS[caller], handle)
    else app.get(path, ...GUARDS[caller], handle)
  }
  return app
}

/** `/webhook/default` is not an alias of `/webhook`: an endpoint has one URL. */
function namedEndpoint(receiver: Receiver, request: Request) {
  const name = String(request.params.name)
  return name === 'default' ? null : receiver.endpoint(name)
}

function notFound(events: EventBus): RequestHandler {
  return (request, response) => {
    events.emit('refused', { endpoint: 'unknown', status: 404, reason: 'not_found', peer: peerOf(request) })
    sendRefusal(request, response, NOT_FOUND)
  }
}

/**
 * Express's own error page shows stack traces. A path that cannot be decoded is the caller's error; any other error is
 * ours.
 */
function errorHandler(events: EventBus): ErrorRequestHandler {
  return (error, request, response, _next) => {
    if (error instanceof URIError) {
      const peer = peerOf(request)
      events.emit('refused', { endpoint: 'unknown', status: 400, reason: 'bad_request', peer, code: 'target' })
      return sendAndClose(request, response, BAD_REQUEST)
    }
    events.emit('failing', { what: 'request', error })
    // A partly sent answer cannot be replaced.
    if (response.headersSent) return void response.destroy()
    sendRefusal(request, response, FAILED)
  }
}
