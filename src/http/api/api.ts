import type { RequestHandler, Response } from 'express'
import { z } from 'zod'
import { InboxUnavailable } from '../../inbox/inbox.ts'
import { stringifyLossless } from '../../lossless-json.ts'
import { toJson } from '../../operations/present.ts'
import { ResultsUnavailable } from '../../results/results.ts'
import { NO_REASON } from '../../signals.ts'
import { jsonText, type Reply, send, sendRefusal, UNAVAILABLE } from '../replies.ts'
import type { Route } from '../routes.ts'
import { identityIn } from '../session/identity.ts'
import { DOCUMENT } from './answers.ts'
import { BULK_ROUTES } from './bulk.ts'
import { DELIVERY_ROUTES } from './deliveries.ts'
import { BUSY, invalidQuery, methodNotAllowed } from './errors.ts'
import { JOB_ROUTES } from './jobs.ts'
import { JOURNAL_ROUTES } from './journal.ts'
import { openApiOf } from './openapi.ts'
import { createPlaces, type Places } from './places.ts'
import { readBody, readQuery } from './read.ts'
import { SERVICE_ROUTES } from './service.ts'
import { type Answer, type ApiRoute, apiRoute, type Work } from './table.ts'

export type ApiDeps = {
  /** Null while the service is not started. */
  readonly work: () => Work | null
  readonly version: string
  /** How long a call about one job, or a page of them, may take, ms: 15 s by default. */
  readonly timeout?: number
}

/** A store that hangs must not keep the places of others. */
const MAX_CALL_MS = 15_000
/** A walk over all jobs sends nothing for long. It ends with its caller, or after this time without a byte. */
const MAX_BULK_SILENCE_MS = 10 * 60_000

/** All routes of the API. */
export function apiTable(version: string): readonly ApiRoute[] {
  const table: ApiRoute[] = [...JOB_ROUTES, ...BULK_ROUTES, ...DELIVERY_ROUTES, ...JOURNAL_ROUTES, ...SERVICE_ROUTES]
  const document = apiRoute({
    method: 'GET',
    path: '/api/openapi.json',
    caller: 'read',
    cost: 'free',
    summary: 'This document.',
    query: z.object({}),
    body: null,
    answer: DOCUMENT,
    refusals: [],
    handle: async () => jsonText(200, written()),
  })
  table.push(document)
  let text: string | null = null
  const written = () => {
    text ??= JSON.stringify(openApiOf(table, version))
    return text
  }
  return table
}

/** The routes for Express, each path with an answer for the methods that it has not. */
export function apiRoutes(deps: ApiDeps): readonly Route[] {
  const table = apiTable(deps.version)
  const places = createPlaces()
  const routes = table.map((route) => ({ ...route, handle: handlerOf(route, deps, places) }))
  const paths = [...new Set(table.map(({ path }) => path))]
  const others = paths.map((path): Route => {
    const methods = table.filter((route) => route.path === path).map(({ method }) => method)
    const allow = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    const refuse: RequestHandler = (request, response) => sendRefusal(request, response, methodNotAllowed(allow))
    return { method: 'ALL', path, caller: 'read', handle: refuse }
  })
  return [...routes.map(({ method, path, caller, handle }) => ({ method, path, caller, handle })), ...others]
}

/** Reads what was sent, does the work in its place, and presents what came of it. */
function handlerOf(route: ApiRoute, deps: ApiDeps, places: Places): RequestHandler {
  return async (request, response) => {
    const query = readQuery(route.query, request.url)
    if (query.is === 'invalid') return send(response, invalidQuery(query.issues))
    const body = readBody(route.body, response.locals.body as Buffer)
    if (body.is === 'invalid') return send(response, invalidQuery(body.issues))
    const opened = deps.work()
    if (opened === null) return send(response, UNAVAILABLE)
    const identity = identityIn(response)
    const work = { ...opened, actor: { who: identity.who, role: identity.role } }
    const call = { params: request.params, query: query.value, body: body.value, identity }
    const isBulk = route.cost === 'bulk'
    const signal = isBulk ? endOf(response) : within(deps.timeout ?? MAX_CALL_MS, endOf(response))
    if (isBulk) request.socket.setTimeout(MAX_BULK_SILENCE_MS)
    try {
      const answer = await places.run(route.cost, async () => ({
        is: await route.handle({ ...call, work, signal, request, response }),
      }))
      if (answer === null) send(response, BUSY)
      else if (answer.is !== null) send(response, replyOf(answer.is))
    } catch (error) {
      // Nothing is said to a caller that has gone, and nothing about one.
      if (response.destroyed) return
      const isExpected = error instanceof InboxUnavailable || error instanceof ResultsUnavailable || signal.aborted
      if (!isExpected || response.headersSent) throw error
      send(response, UNAVAILABLE)
    }
  }
}

function replyOf(answer: NonNullable<Answer>): Reply {
  return 'value' in answer ? jsonText(200, stringifyLossless(toJson(answer.value))) : answer
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)])
}

function endOf(response: Response): AbortSignal {
  const end = new AbortController()
  response.once('close', () => end.abort(NO_REASON))
  return end.signal
}
