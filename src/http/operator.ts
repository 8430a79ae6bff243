import type { RequestHandler } from 'express'
import type { Clock } from '../clock.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { type ApiDeps, apiRoutes } from './api/api.ts'
import { assetsRoute, loadAssets } from './pages/assets.ts'
import type { PagesDeps } from './pages/deps.ts'
import { pageRoutes } from './pages/routes.ts'
import { createSignInPage } from './pages/sign-in.ts'
import { createRefusals, createRoleGuards } from './roles.ts'
import type { Guards, Route } from './routes.ts'
import { securityHeaders } from './security-headers.ts'
import { createSessions, type Tokens } from './session/cookie.ts'
import { createIdentities } from './session/identity.ts'
import { signInRoutes } from './session/sign-in.ts'
import { OPERATOR_BODY, SIGN_IN_BODY, smallBody } from './small-body.ts'

/** What the operator's routes are made from. Without it there are none. */
export type OperatorDeps = {
  readonly tokens: Tokens
  readonly clock: Clock
  readonly metrics: MetricsText
  readonly scrub: Scrub
  readonly api: ApiDeps
  /** For the pages of people; without it there are only programs. */
  readonly pages?: PagesDeps
}

/** All metrics, in the text that Prometheus reads. */
type MetricsText = { readonly contentType: string; text(): Promise<string> }

type OperatorCaller = 'visitor' | 'read' | 'write' | 'page' | 'form'

/** The operator's surface: what operators and their programs call, and what stands in front of it. */
export type Operator = { readonly guards: Pick<Guards, OperatorCaller>; readonly routes: readonly Route[] }

export function createOperator(deps: OperatorDeps, events: EventBus): Operator {
  const { tokens, clock, scrub } = deps
  const sessions = createSessions(tokens)
  const identities = createIdentities({ tokens, sessions, now: clock.now, scrub })
  const refusals = createRefusals({ clock, events })
  const roles = createRoleGuards(identities, refusals)
  // Who calls, then what was sent.
  const body = smallBody(events, OPERATOR_BODY)
  const behind = (role: RequestHandler) => [securityHeaders, role, body]
  const assets = loadAssets()
  const show = createSignInPage(assets, deps.pages?.service.publicUrl ?? null)
  const signIn = signInRoutes({ clock, sessions, identities, refusals, show, body: smallBody(events, SIGN_IN_BODY) })
  const pages = deps.pages ? pageRoutes(deps.pages, assets) : []
  return {
    guards: {
      visitor: [securityHeaders],
      read: behind(roles.read),
      write: behind(roles.write),
      page: behind(roles.page),
      form: behind(roles.form),
    },
    routes: [
      { method: 'GET', path: '/metrics', caller: 'read', handle: metricsRoute(deps.metrics) },
      ...apiRoutes(deps.api),
      ...signIn,
      assetsRoute(assets),
      ...pages,
    ],
  }
}

function metricsRoute(metrics: MetricsText): RequestHandler {
  return async (_request, response) => {
    const text = await metrics.text()
    response.setHeader('content-type', metrics.contentType)
    response.end(text)
  }
}
