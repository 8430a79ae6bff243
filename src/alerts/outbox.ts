import { randomBytes } from 'node:crypto'
import { backoff } from '../backoff.ts'
import type { Clock } from '../clock.ts'
import { NO_REASON } from '../signals.ts'
import type { Log } from '../telemetry/log.ts'
import type { CleanText } from '../telemetry/scrub.ts'
import type { Alert } from './alert.ts'
import type { Send } from './send.ts'

/** Alerts that wait at once. Beyond them the oldest is given up: the newest says how things are. */
export const MAX_WAITING = 200
/** How long sending one alert is retried, ms: an hour later it would only confuse. */
export const RETRY_FOR_MS = 3_600_000
/** How long a stop goes on sending, ms: a part of what every stop may take. */
export const FINISH_MS = 1_000

export type OutboxDeps = {
  readonly send: Send
  readonly clock: Clock
  readonly log: Log
  /** The service's own address, so that the alerts of several can be told apart. */
  readonly service: string | null
  readonly random?: () => number
}

export type Outbox = {
  add(alert: Alert): void
  /** Sends what waits, for FINISH_MS at most. What is left then is given up, and told in the log. */
  stop(): Promise<void>
}

type Waiting = {
  readonly alert: Alert
  readonly id: string
  readonly body: string
  readonly until: number
  failures: number
}

/**
 * Sends alerts one after another, in order, each with one `webhook-id` for all its attempts. In memory: what an alert
 * says stands in the log and in the inbox as well, and nothing else ever waits for one.
 */
export function createOutbox({ send, clock, log, service, random = Math.random }: OutboxDeps): Outbox {
  const stopping = new AbortController()
  const waiting: Waiting[] = []
  let wake: () => void = () => {}
  let isLast = false

  function add(alert: Alert): void {
    if (isOverBefore(alert)) return
    const { type, data } = alert
    const body = JSON.stringify({ type, timestamp: new Date(clock.now()).toISOString(), service, data })
    const id = `alert_${randomBytes(16).toString('hex')}`
    waiting.push({ alert, id, body, until: clock.monotonic() + RETRY_FOR_MS, failures: 0 })
    if (waiting.length > MAX_WAITING) giveUp(waiting[1]!, `more than ${MAX_WAITING} alerts wait`)
    wake()
  }

  /** Of a problem whose beginning was not sent yet nobody needs to hear the end, nor the beginning. */
  function isOverBefore({ type, data }: Alert): boolean {
    if (type !== 'recovered') return false
    const begun = waiting.findIndex(({ alert }) => alert.type === 'degraded' && alert.data.name === data.name)
    // The first one may be on its way.
    if (begun < 1) return false
    waiting.splice(begun, 1)
    return true
  }

  function giveUp(one: Waiting, why: string): void {
    remove(one)
    log.error({ alert: one.alert.type, ...about(one.alert), reason: why }, 'alert not delivered')
  }

  function remove(one: Waiting): void {
    const index = waiting.indexOf(one)
    if (index !== -1) waiting.splice(index, 1)
  }

  async function sendNext(one: Waiting): Promise<void> {
    const problem = await send(one.id, one.body, stopping.signal)
    if (problem === null) return remove(one)
    if (stopping.signal.aborted) return
    one.failures += 1
    const pause = backoff(one.failures, random)
    if (clock.monotonic() + pause > one.until) return giveUp(one, problem)
    if (one.failures === 1) log.warn({ alert: one.alert.type, reason: problem satisfies CleanText }, 'alert delayed')
    await clock.sleep(pause, stopping.signal)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const [next] = waiting
      if (next) await sendNext(next)
      else if (isLast) return
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  }

  const running = run()
  return {
    add,
    async stop() {
      isLast = true
      wake()
      const ended = new AbortController()
      void clock.sleep(FINISH_MS, ended.signal).then(() => stopping.abort(NO_REASON))
      await running
      ended.abort(NO_REASON)
      for (const one of [...waiting]) giveUp(one, 'the service stops')
    },
  }
}

/** What the log says of an alert that was not delivered. */
function about(alert: Alert): Readonly<Record<string, unknown>> {
  if (alert.type === 'jobs.dead') return { code: alert.data.code, count: alert.data.count }
  return 'name' in alert.data ? { name: alert.data.name } : {}
}
