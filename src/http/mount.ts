import type { IncomingMessage } from 'node:http'
import type { Express } from 'express'
import { json } from './replies.ts'

/** Whoever mounts the routes in an app of their own has to leave the body alone: signatures are made of its bytes. */

export const BODY_CURE =
  'the body was read before it came here, and its signature cannot be checked any more: mount the receiver before express.json() and every other body parser'

export const BODY_ALREADY_READ = json(500, { error: 'body_already_read', reason: BODY_CURE })

/** Whether something has taken bytes from this request, or has made text of them. */
export function isBodyTaken(request: IncomingMessage): boolean {
  return request.readableDidRead || request.readableEncoding !== null
}

/** The functions of body-parser, by their names, as people write them. */
const PARSERS: Readonly<Record<string, string>> = {
  jsonParser: 'express.json()',
  rawParser: 'express.raw()',
  textParser: 'express.text()',
  urlencodedParser: 'express.urlencoded()',
}

const problems = new WeakMap<object, string>()

/** What stands in front of these routes in the app that they were mounted in, and would take their bodies; or null. */
export function mountProblem(app: object): string | null {
  return problems.get(app) ?? null
}

/**
 * Makes an app that can be mounted anywhere: what it leaves to others comes back to them as it was, also where Express does
 * not see to that (below a router), and what stands in front of it is looked at.
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
    if (parser !== null) problems.set(app, `${parser} stands before the receiver; mount the receiver before it`)
  })
  return app
}

type Layer = { readonly name?: unknown; match?(path: string): unknown }

/** The first body parser that a request for `path` passes. All that the app has by now stands before what it mounts. */
function parserBefore(parent: unknown, path: string): string | null {
  const { stack: layers = [] } = routerOf(parent) ?? {}
  const found = layers.find(({ name, match }, index) => {
    if (typeof name !== 'string' || !(name in PARSERS)) return false
    return typeof match !== 'function' || Boolean(match.call(layers[index], path))
  })
  return found ? PARSERS[String(found.name)]! : null
}

/** Express 4 has `_router`, and throws when it is asked for `router`. */
function routerOf(app: unknown): { readonly stack?: readonly Layer[] } | undefined {
  const { _router } = app as { _router?: object }
  return _router ?? (app as { router?: object }).router
}
