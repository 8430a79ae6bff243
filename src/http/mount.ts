import type { IncomingMessage } from 'node:http'
import type { Express } from 'express'
import { json } from './replies.ts'

/** An app that mounts the routes must not read the body first: the signature covers its exact bytes. */

export const BODY_CURE =
  'the body was read before it reached the receiver, so its signature cannot be checked: mount the receiver before express.json() and every other body parser'

export const BODY_ALREADY_READ = json(500, { error: 'body_already_read', reason: BODY_CURE })

/** Whether another reader has consumed bytes of this request, or has decoded them to text. */
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
 * Makes an app that can be mounted anywhere. Requests that it does not handle are passed on unchanged, also where
 * Express does not ensure that (below a router), and body parsers before it are detected.
 */
export function mountable(app: Express): Express {
  const handle = (app as unknown as { handle(...args: readonly unknown[]): void }).handle.bind(app)
  Object.assign(app, {
    handle(request: object, response: object, next?: (error?: unknown) => void) {
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
    const parser = parserBefore(parent, `${String(app.mountpath).replace(/\/$/, '')}/webhook`)
    if (parser !== null) problems.set(app, `${parser} is mounted before the receiver; mount the receiver before it`)
  })
  return app
}

type Layer = { readonly name?: unknown; match?(path: string): unknown }

/**
 * The first body parser that a request for `path` passes. Everything in the app so far comes before what it mounts
 * next.
 */
function parserBefore(parent: unknown, path: string): string | null {
  const { stack: layers = [] } = routerOf(parent) ?? {}
  const found = layers.find(({ name, match }, index) => {
    if (typeof name !== 'string' || !(name in PARSERS)) return false
    return typeof match !== 'function' || Boolean(match.call(layers[index], path))
  })
  return found ? PARSERS[String(found.name)]! : null
}

/** Express 4 has `_router`, and throws on access to `router`. */
function routerOf(app: unknown): { readonly stack?: readonly Layer[] } | undefined {
  const { _router } = app as { _router?: object }
  return _router ?? (app as { router?: object }).router
}
