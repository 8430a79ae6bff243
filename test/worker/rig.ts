import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JobRecord } from '../../src/results/record.ts'
import type { Fault, Reducto } from '../../src/simulator/reducto.ts'
import { createEvents, type EventBus, type Events } from '../../src/telemetry/events.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { delivery, event, type TestService, testService } from '../support/service.ts'

/**
 * A service against a simulated Reducto over real sockets, on a clock that moves when told. Its inbox is in memory unless
 * a test is about the database: both keep the same contract, and a database takes most of the time of a start.
 */
export type Rig = TestService & { readonly clock: ManualClock; readonly events: EventBus }

export async function rig(
  env: Record<string, string> = {},
  more: { reducto?: Reducto; folder?: string; events?: EventBus; store?: 'sqlite' | 'memory' } = {},
): Promise<Rig> {
  const clock = createManualClock()
  const events = more.events ?? createEvents()
  // What is asked at start must not meet what a test does to Reducto.
  const probed = env.WORKER_CONCURRENCY === '0' ? null : event(events, 'keyProbed')
  const service = await testService({ clock, env, store: 'memory', ...more, events })
  await probed
  return { ...service, clock, events }
}

/** The next attempt that is settled, of this job. */
export function settled(on: Rig, jobId: string): Promise<Events['settled'][0]> {
  return event(on.events, 'settled', (one) => one.jobId === jobId)
}

/** Pauses between the passes of one attempt, ms: see collect.ts. */
const PASS_PAUSES = [500, 2_000, 8_000]

/** Moves time through the pauses within attempts until this is over. */
export async function through<T>(on: Rig, over: Promise<T>): Promise<T> {
  let isOver = false
  void over.finally(() => {
    isOver = true
  })
  while (!isOver) {
    const paused = PASS_PAUSES.map((ms) => on.clock.sleeping(ms).then(() => ms))
    const ms = await Promise.race([over.then(() => 0), ...paused])
    on.clock.advance(ms)
  }
  return over
}

/** Delivers the job and waits for its first attempt. */
export async function deliver(on: Rig, jobId: string, status = 'Completed'): Promise<Events['settled'][0]> {
  const first = settled(on, jobId)
  await on.inbox.accept(delivery(jobId, { status, at: on.clock.now() }))
  return through(on, first)
}

/** Moves time to the next attempt and waits for it. */
export async function nextAttempt(on: Rig, last: Events['settled'][0]): Promise<Events['settled'][0]> {
  const next = settled(on, last.jobId)
  on.clock.advance(Math.max(last.dueAt - on.clock.now(), 0))
  return through(on, next)
}

/** Attempts until the job is done or dead. */
export async function untilOver(on: Rig, last: Events['settled'][0]): Promise<Events['settled'][0]> {
  let now = last
  while (now.state === 'queued') now = await nextAttempt(on, now)
  return now
}

/** What `/readyz` answers. */
export async function ready(on: Rig) {
  const response = await fetch(`${on.url}/readyz`)
  return { status: response.status, body: await response.json() }
}

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** The saved record of a job. */
export function record(on: Rig, jobId: string): JobRecord {
  return JSON.parse(readFileSync(join(on.folder, 'results', jobId, 'record.json'), 'utf8'))
}

/** The same fault, so many times. */
export const times = (count: number, fault: Fault): Fault[] => Array.from({ length: count }, () => fault)

/** Reducto answers with this status. */
export const status = (code: number, more: Partial<Extract<Fault, { is: 'status' }>> = {}): Fault => ({
  is: 'status',
  status: code,
  ...more,
})
