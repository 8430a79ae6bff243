import type { RequestHandler } from 'express'
import { json, send } from './answers.ts'

/** Why deliveries cannot be accepted; with any of these `/readyz` is a 503. */
export type NotReady = 'starting' | 'draining' | 'inbox' | 'inbox_locked'
/** What is wrong behind the inbox: deliveries are accepted all the same. */
export type Degraded = 'worker_paused' | 'reducto_auth' | 'results' | 'disk' | 'handler'

export type Health = () => { readonly notReady: readonly NotReady[]; readonly degraded: readonly Degraded[] }

const ALIVE = json(200, { status: 'alive' })
const READY = json(200, { status: 'ready' })

/** 200 while the process lives. */
export const healthz: RequestHandler = (_request, response) => send(response, ALIVE)

/** 200 when deliveries can be accepted. Trouble behind the inbox is told with a 200, so that nobody stops deliveries. */
export function readyz(health: Health): RequestHandler {
  return (_request, response) => {
    const { notReady, degraded } = health()
    if (notReady.length > 0) return send(response, json(503, { not_ready: notReady }))
    send(response, degraded.length > 0 ? json(200, { degraded }) : READY)
  }
}
