import type { Clock } from '../clock.ts'
import type { EventBus } from '../telemetry/events.ts'
import type { Log } from '../telemetry/log.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { createOutbox } from './outbox.ts'
import { createSend } from './send.ts'
import { watchForAlerts } from './watch.ts'

export type AlertsChoice = { readonly url: string; readonly secrets: readonly string[] }

/**
 * Posts alerts to ALERT_URL until it is stopped. `service`: the address that they name.
 */
export function startAlerts(
  { url, secrets }: AlertsChoice,
  deps: {
    readonly events: EventBus
    readonly clock: Clock
    readonly log: Log
    readonly scrub: Scrub
    readonly service: string | null
    readonly fetch: typeof globalThis.fetch
    readonly isRefusing: () => boolean
  },
): { stop(): Promise<void> } {
  const { events, clock, log, scrub, service, fetch, isRefusing } = deps
  const send = createSend({ url, secrets, scrub, now: clock.now, fetch })
  const outbox = createOutbox({ send, clock, log, service })
  const watch = watchForAlerts({ events, clock, isRefusing, add: outbox.add })
  return {
    async stop() {
      watch.stop()
      await outbox.stop()
    },
  }
}
