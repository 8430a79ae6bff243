import { ACTIONS } from '../actor.ts'
import type { EventBus, Events } from './events.ts'
import {
  codeLabel,
  OPERATION_LABELS,
  OTHER,
  operationLabel,
  refusalLabel,
  SIGNATURE_REASONS,
  UNAVAILABLE_REASONS,
} from './reasons.ts'
import type { Families } from './registry.ts'

const OUTCOMES = ['accepted', 'duplicate', 'requeued', 'ignored', 'invalid'] as const
/** What requests are refused for, beside endpoints. */
const OTHER_ENDPOINTS = ['results', 'operator', 'unknown'] as const

type CountingDeps = {
  readonly events: EventBus
  readonly families: Families
  /** The names of all endpoints that there are. */
  readonly endpoints: readonly string[]
  /** The known kinds of jobs. */
  readonly types: readonly string[]
  /** Wall clock, ms. */
  readonly now: () => number
}

/** Counts what happens: each listener is a few additions in memory. `flush` writes what waits for somebody to look. */
export function countEvents(deps: CountingDeps): { flush(): void } {
  const { events, families } = deps
  const endpoints = new Set<string>([...deps.endpoints, ...OTHER_ENDPOINTS])
  const types = new Set(deps.types)
  const endpointLabel = (name: string) => (endpoints.has(name) ? name : 'unknown')
  const typeLabel = (type: string | null) => (type !== null && types.has(type) ? type : OTHER)
  beginAtZero(deps)

  events.on('refused', ({ endpoint, reason }) => {
    families.add('refused_total', { endpoint: endpointLabel(endpoint), reason: refusalLabel(reason) })
    if (reason === 'wrong_token' || reason === 'slow_down') families.add('sign_in_failures_total', {})
  })
  events.on('settled', (settled) => {
    const { stage, outcome, state, type } = settled
    const reason = 'reason' in outcome ? codeLabel(outcome.reason.code) : 'none'
    families.add('attempts_total', { stage, outcome: outcome.is, reason })
    countDuration(families, settled)
    if (stage === 'fetch' && settled.calls > 0) countSaved(families, settled)
    if (state !== 'done' && state !== 'dead') return
    const hasFailed = outcome.is === 'done' && outcome.status === 'Failed'
    families.add('settled_total', { type: typeLabel(type), outcome: state === 'done' && hasFailed ? 'failed' : state })
    if (state === 'done' && settled.sinceDelivery !== null)
      families.observe('done_seconds', {}, seconds(settled.sinceDelivery))
  })
  events.on('missed', () => families.add('missed_webhooks_total', {}))
  events.on('action', ({ action }) => families.add('operator_actions_total', { action }))
  events.on('slowed', () => families.add('slowed_total', {}))
  events.on('claimLost', () => families.add('fenced_total', {}))
  events.on('failing', ({ what }) => families.add('stuck_total', { what: operationLabel(what) }))
  events.on('committed', ({ rows, ms, failed }) => {
    families.observe('commit_seconds', {}, seconds(ms))
    families.observe('commit_rows', {}, rows)
    if (failed) families.add('commit_failures_total', {})
  })
  events.on('read', ({ question, ms }) => families.observe('read_seconds', { question }, seconds(ms)))
  return { flush: countDeliveries(deps) }
}

/** Bound beforehand, and with what can wait left for a look: an acknowledgement passes here. */
function countDeliveries({ events, families, endpoints, now }: CountingDeps): () => void {
  const lastAt = new Map<string, number>()
  const observe = families.bind('acknowledgement_seconds', {})
  const series = new Map(
    endpoints.map((endpoint) => {
      const counts = OUTCOMES.map(
        (outcome) => [outcome, families.bind('deliveries_total', { endpoint, outcome })] as const,
      )
      return [endpoint, Object.fromEntries(counts) as Record<(typeof OUTCOMES)[number], (by: number) => void>]
    }),
  )

  events.on('delivery', ({ endpoint, outcome, ms }) => {
    observe(seconds(ms))
    const counts = series.get(endpoint)
    if (counts === undefined) return
    counts[outcome](1)
    lastAt.set(endpoint, now())
  })
  return () => {
    for (const [endpoint, at] of lastAt)
      families.set('last_verified_delivery_timestamp_seconds', { endpoint }, seconds(at))
  }
}

type Settled = Events['settled'][0]

/** Attempts that say nothing about the time that one takes are left out. */
function countDuration(families: Families, { stage, outcome, ms }: Settled): void {
  const isOk = outcome.is === 'saved' || outcome.is === 'done'
  if (!isOk && !['retry', 'gone', 'dead'].includes(outcome.is)) return
  const name = stage === 'hand_over' ? 'hand_over_seconds' : 'fetch_seconds'
  families.observe(name, { outcome: isOk ? 'ok' : 'error' }, seconds(ms))
}

function countSaved(families: Families, { outcome, bytes, files, sinceDelivery }: Settled): void {
  if (outcome.is !== 'saved' && outcome.is !== 'done') return
  families.add('saved_bytes_total', {}, bytes)
  families.add('saved_files_total', { outcome: 'saved' }, Math.max(files - outcome.missing, 0))
  families.add('saved_files_total', { outcome: 'missing' }, outcome.missing)
  if (sinceDelivery !== null) families.observe('saved_seconds', {}, seconds(sinceDelivery))
}

/** Prometheus sees an increase only between two values: what alerts look at begins at zero. */
function beginAtZero({ families, endpoints, types }: CountingDeps): void {
  for (const endpoint of endpoints) {
    for (const outcome of OUTCOMES) families.add('deliveries_total', { endpoint, outcome }, 0)
    for (const reason of [...SIGNATURE_REASONS, ...UNAVAILABLE_REASONS])
      families.add('refused_total', { endpoint, reason }, 0)
  }
  for (const type of [...types, OTHER])
    for (const outcome of ['done', 'failed', 'dead']) families.add('settled_total', { type, outcome }, 0)
  for (const action of ACTIONS) families.add('operator_actions_total', { action }, 0)
  for (const what of OPERATION_LABELS) families.add('stuck_total', { what }, 0)
  for (const outcome of ['saved', 'missing']) families.add('saved_files_total', { outcome }, 0)
}

/** A clock that was set back makes no negative time. */
function seconds(ms: number): number {
  return Math.max(ms, 0) / 1_000
}
