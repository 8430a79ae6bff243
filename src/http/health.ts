import type { RequestHandler } from 'express'
import type { NotReady } from '../events.ts'
import { json, send } from './replies.ts'

/** What is wrong behind the inbox: deliveries are accepted regardless. */
export type Degraded =
  | 'worker_paused'
  | 'reducto_auth'
  | 'reducto'
  | 'results'
  | 'disk'
  | 'handler'
  | 'payload'
  | 'clock'
  | 'downloads'

/** What an operator should know of one trouble. `waiting`: jobs held up by it; `oldest`: since when the first waits. */
export type DegradedDetail = {
  readonly message: string
  readonly since: string
  readonly waiting?: number
  readonly oldest?: string
}

export type Health = () => {
  /** With any of these `/readyz` is a 503. */
  readonly notReady: readonly NotReady[]
  readonly degraded: readonly Degraded[]
  readonly details?: Readonly<Partial<Record<Degraded, DegradedDetail>>>
}

const ALIVE = json(200, { status: 'alive' })
const READY = json(200, { status: 'ready' })

/** 200 while the process lives. */
export const healthz: RequestHandler = (_request, response) => send(response, ALIVE)

/**
 * 200 when deliveries can be accepted. Trouble behind the inbox is reported with a 200, so that load balancers keep
 * sending.
 */
export function readyz(health: Health): RequestHandler {
  return (_request, response) => {
    const { notReady, degraded, details } = health()
    if (notReady.length > 0) return send(response, json(503, { not_ready: notReady }))
    send(response, degraded.length > 0 ? json(200, { degraded, ...(details ? { details } : {}) }) : READY)
  }
}
