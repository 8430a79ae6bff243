import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Express } from 'express'
import { keepPeer } from './peer.ts'
import { json } from './replies.ts'

/** An app that mounts the routes must not read the body first: the signature covers its exact bytes. */

export const BODY_CURE =
  'the body was read before it reached the receiver, so its signature cannot be checked: mount the receiver before express.json() and every other body parser'

export const BODY_ALREADY_READ = json(500, { error: 'body_already_read', reason: BODY_CURE })

const HTTP_1_CURE =
  'the receiver speaks HTTP/1.1, as Express does: let a proxy in front take HTTP/2, or mount it in a server of node:http'

export const WRONG_VERSION = json(505, { error: 'http_version_not_supported', reason: HTTP_1_CURE })

/** Whether something has taken bytes from this request, or has made text of them. */
export function isBodyTaken(request: IncomingMessage): boolean {
  return request.readableDidRead || request.readableEncoding !== null
}

/** The functions of body-parser and how people write them. */
const PARSERS: Readonly<Record<string, string>> = {
  jsonParser: 'express.json()',
  rawParser: 'express.raw()',
  textParser: 'express.text()',
  urlencodedParser: 'express.urlencoded()',
}

const problems = new WeakMap<object, string>()

/** The parser before these routes in the surrounding app that would read their bodies; null if there is none. */
export function mountProblem(app: object): string | null {
  return problems.get(app) ?? null
}

/**
 * Makes an app that can be mounted anywhere: what it leaves to others comes back to them as it was, also where Express does
 * not see to that (below a router), and what stands in front of it is looked at. Express takes the requests of HTTP/2 apart
 * and throws where nobody catches: those that it `owns` go to `refuse` instead.
 */
export function mountable(
  app: Express,
  owns: (path: string) => boolean,
  refuse: (request: IncomingMessage, response: ServerResponse) => void,
): Express {
  const handle = (app as unknown as { handle(...args: readonly unknown[]): void }).handle.bind(app)
  Object.assign(app, {
    handle(request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) {
      if (request.httpVersionMajor > 1) return next && !owns(pathOf(request)) ? next() : refuse(request, response)
      keepPeer(request)
      const [ofRequest, ofResponse] = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)]
      const back = (error?: unknown) => {
        Object.setPrototypeOf(request, ofRequest)
        Object.setPrototypeOf(response, ofResponse)
        next?.(error)
      }
      handle(request, response, next && back)
    },
  })
  app.on('mount', (parent: unknown) => {
    const paths = [app.mountpath].flat().map((path) => `${String(path).replace(/\/$/, '')}/webhook`)
    const parser = paths.map((path) => parserBefore(parent, path)).find((found) => found !== null)
    if (parser !== undefined)
      problems.set(app, `${parser} is mounted before the receiver; mount the receiver before it`)
  })
  return app
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]!
}

type Layer = { readonly name?: unknown; match?(path: string): unknown }

/**
 * The first body parser that a request for `path` passes. Everything in the app so far comes before what it mounts
 * next.
 */
function parserBefore(parent: unknown, path: string): string | null {
  const { stack: layers = [] } = routerOf(parent) ?? {}
  const found = layers.find(({ name, match }, index) => {
    if (typeof name !== 'string' || !Object.hasOwn(PARSERS, name)) return false
    return typeof match !== 'function' || doesMatch(() => match.call(layers[index], path))
  })
  return found ? PARSERS[String(found.name)]! : null
}

/** Express throws at a path that cannot be decoded. */
function doesMatch(match: () => unknown): boolean {
  try {
    return Boolean(match())
  } catch {
    return false
  }
}

/** Express 4 has `_router`, and throws when it is asked for `router`. */
function routerOf(app: unknown): { readonly stack?: readonly Layer[] } | undefined {
  const { _router } = app as { _router?: object }
  return _router ?? (app as { router?: object }).router
}
