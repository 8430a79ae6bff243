import type { RequestHandler } from 'express'
import type { Clock } from '../clock.ts'
import type { EventBus } from '../telemetry/events.ts'
import { createRoleGuards, type Tokens } from './roles.ts'
import type { Guards, Route } from './routes.ts'
import { smallBody } from './small-body.ts'

/** What the operator's routes are made from. Without it there are none. */
export type OperatorDeps = {
  readonly tokens: Tokens
  readonly clock: Clock
  readonly metrics: MetricsText
}

/** All metrics, in the text that Prometheus reads. */
type MetricsText = { readonly contentType: string; text(): Promise<string> }

/** The guards of both roles: who calls, then what was sent. */
export function operatorGuards(deps: OperatorDeps, events: EventBus): Pick<Guards, 'read' | 'write'> {
  const roles = createRoleGuards({ tokens: deps.tokens, clock: deps.clock, events })
  const body = smallBody(events)
  return { read: [roles.read, body], write: [roles.write, body] }
}

/** What operators and their programs look at. */
export function operatorRoutes({ metrics }: OperatorDeps): readonly Route[] {
  return [{ method: 'GET', path: '/metrics', caller: 'read', handle: metricsRoute(metrics) }]
}

function metricsRoute(metrics: MetricsText): RequestHandler {
  return async (_request, response) => {
    const text = await metrics.text()
    response.setHeader('content-type', metrics.contentType)
    response.end(text)
  }
}
