import type { RequestHandler } from 'express'
import type { Degradation } from '../telemetry/degradations.ts'
import type { NotReady } from '../telemetry/events.ts'
import { type FindProver, prove } from './probe.ts'
import { json, send } from './replies.ts'

export type Health = () => {
  /** Any of these makes `/readyz` answer 503. */
  readonly notReady: readonly NotReady[]
  /** Problems after the inbox: deliveries are accepted regardless. */
  readonly degraded: readonly Degradation[]
}

const ALIVE = json(200, { status: 'alive' })
const READY = json(200, { status: 'ready' })

/** 200 while the process runs. */
export function healthz(prover?: FindProver): RequestHandler {
  return (request, response) => {
    prove(prover, request, response)
    send(response, ALIVE)
  }
}

/**
 * 200 when deliveries can be accepted. Problems after the inbox are reported with a 200, so that load balancers keep
 * sending.
 */
export function readyz(health: Health): RequestHandler {
  return (_request, response) => {
    const { notReady, degraded } = health()
    if (notReady.length > 0) return send(response, json(503, { not_ready: notReady }))
    if (degraded.length === 0) return send(response, READY)
    send(response, json(200, { degraded: degraded.map(({ name }) => name), details: detailsOf(degraded) }))
  }
}

/** What `/readyz` says of each problem, by its name. */
export function detailsOf(degraded: readonly Degradation[]) {
  return Object.fromEntries(degraded.map((one) => [one.name, detail(one)]))
}

function detail({ message, since, waiting, oldest }: Degradation) {
  return {
    message,
    since: new Date(since).toISOString(),
    ...(waiting === undefined ? {} : { waiting }),
    ...(oldest == null ? {} : { oldest: new Date(oldest).toISOString() }),
  }
}
