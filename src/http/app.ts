import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import type { Receiver } from '../receive/receive.ts'
import type { EventBus } from '../telemetry/events.ts'
import { type BodyReader, createBodyReader } from './body.ts'
import { type Health, healthz, readyz } from './health.ts'
import { mountable, WRONG_VERSION } from './mount.ts'
import { createOperator, type Operator, type OperatorDeps } from './operator.ts'
import { peerOf, peerOfSocket } from './peer.ts'
import type { FindProver } from './probe.ts'
import { BAD_REQUEST, FAILED, NOT_FOUND, send, sendAndClose, sendRefusal } from './replies.ts'
import { savedFilesWhenOpen } from './results-route.ts'
import type { Guards, Route } from './routes.ts'
import type { SavedFilesDeps } from './saved-files.ts'
import { webhook } from './webhook.ts'

export type AppDeps = {
  /** Null until deliveries can be recorded, and when they cannot any more. */
  readonly receiver: () => Receiver | null
  readonly health: Health
  readonly events: EventBus
  /** Which proxies in front are believed about the caller's address: Express's `trust proxy`. None by default. */
  readonly trustProxy?: boolean | number | string | readonly string[]
  readonly bodies?: BodyReader
  /** For the links of forwarded records; without it there are none. Returns null until results can be read. */
  readonly saved?: (() => SavedFilesDeps | null) | null
  /** For the operator's routes; without it there are none. */
  readonly operator?: OperatorDeps | null
  /** Proves to `doctor` that an answer is this service's. */
  readonly prover?: FindProver
}

/** What deliveries come to, and the links to results. Webhooks come before anything that costs. */
function receiverRoutes(deps: AppDeps): readonly Route[] {
  const webhooks = { ...deps, bodies: deps.bodies ?? createBodyReader() }
  const direct = webhook(webhooks, (receiver, request) => receiver.direct(String(request.params.token)))
  return [
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

/** The whole surface of the service: whatever else is asked for is not found. */
export function createApp(deps: AppDeps): Express {
  const own: readonly Route[] = [
    ...receiverRoutes(deps),
    { method: 'GET', path: '/healthz', caller: 'anyone', handle: healthz(deps.prover) },
    { method: 'GET', path: '/readyz', caller: 'anyone', handle: readyz(deps.health) },
  ]
  return alone(deps, own, operatorOf(deps))
}

/** The operator's routes alone, for a port of their own. */
export function createOperatorApp(
  deps: Pick<AppDeps, 'events' | 'trustProxy'> & { readonly operator: OperatorDeps },
): Express {
  return alone(deps, [], operatorOf(deps))
}

function operatorOf({ operator, events }: Pick<AppDeps, 'events' | 'operator'>): Operator | null {
  return operator ? createOperator(operator, events) : null
}

/** An app that has a server of its own. */
function alone(
  deps: Pick<AppDeps, 'events' | 'trustProxy'>,
  routes: readonly Route[],
  operator: Operator | null,
): Express {
  const app = appWith(routes, operator)
  app.set('trust proxy', deps.trustProxy ?? false)
  app.use(notFound(deps.events))
  app.use(failed(deps.events))
  return app
}

/** The routes for an app of somebody else's, under any path of it. What is not among them is left to that app. */
export function createMountable(deps: Omit<AppDeps, 'health' | 'trustProxy'>): Express {
  const routes = receiverRoutes({ ...deps, health: () => ({ notReady: [], degraded: [] }) })
  const operator = operatorOf(deps)
  const all = [...routes, ...(operator?.routes ?? [])]
  const roots = new Set(all.map(({ path }) => path.split('/')[1]!))
  const owns = (path: string) => roots.has(path.split('/')[1]!)
  const app = mountable(appWith(routes, operator, isBelowAPath), owns, (request, response) => {
    const peer = peerOfSocket(request.socket)
    deps.events.emit('refused', { endpoint: 'unknown', status: WRONG_VERSION.status, reason: 'http_version', peer })
    send(response, WRONG_VERSION)
  })
  app.use(failed(deps.events))
  return app
}

/** For people: they have a path of their own in an app, whose first page and pages of other names are its own. */
const FOR_PEOPLE: ReadonlySet<Route['caller']> = new Set(['visitor', 'page', 'form'])

/** Goes on only where the routes are mounted at a path. */
const isBelowAPath: RequestHandler = (request, _response, next) => next(request.baseUrl === '' ? 'route' : undefined)

function appWith(routes: readonly Route[], operator: Operator | null, beforePeople?: RequestHandler): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  const guards: Guards = { anyone: [], signed: [], ...(operator?.guards ?? NOBODY) }
  for (const { method, path, caller, handle } of [...routes, ...(operator?.routes ?? [])]) {
    const before = beforePeople && FOR_PEOPLE.has(caller) ? [beforePeople] : []
    app[METHODS[method]](path, ...before, ...guards[caller], handle)
  }
  return app
}

/** Express's names of them. */
const METHODS = { ALL: 'all', GET: 'get', POST: 'post', PUT: 'put', DELETE: 'delete' } as const

const nobody: RequestHandler = (request, response) => sendRefusal(request, response, NOT_FOUND)
/** Without the operator's tokens nobody is an operator. */
const NOBODY: Operator['guards'] = {
  visitor: [nobody],
  read: [nobody],
  write: [nobody],
  page: [nobody],
  form: [nobody],
}

/** `/webhook/default` is not another name of `/webhook`: an endpoint has one URL. */
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

/** Express's own error page shows stacks. A path that cannot be decoded is the caller's error, all else is ours. */
function failed(events: EventBus): ErrorRequestHandler {
  return (error, request, response, _next) => {
    if (error instanceof URIError) {
      const peer = peerOf(request)
      events.emit('refused', { endpoint: 'unknown', status: 400, reason: 'bad_request', peer, code: 'target' })
      return sendAndClose(request, response, BAD_REQUEST)
    }
    events.emit('failing', { what: 'request', error })
    // Half an answer cannot be taken back.
    if (response.headersSent) return void response.destroy()
    sendRefusal(request, response, FAILED)
  }
}
