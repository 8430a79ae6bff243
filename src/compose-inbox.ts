import type { Clock } from './clock.ts'
import { aboutThis } from './compose-fleet.ts'
import type { ClaimId } from './inbox/inbox.ts'
import type { OpenInboxOptions } from './inbox/open.ts'
import { describeDatabase } from './settings/stores.ts'
import type { EventBus, NotReady } from './telemetry/events.ts'
import type { Log } from './telemetry/log.ts'
import { createSearchLog } from './telemetry/search-log.ts'

type InboxParts = {
  readonly config: Parameters<typeof aboutThis>[0]
  readonly clock: Clock
  readonly log: Log
  readonly events: EventBus
  readonly signal: AbortSignal
  /** The inbox is not there yet, or not any more. */
  readonly onNotReady: (why: NotReady) => void
  /** Jobs in the hands of this process are lost. */
  readonly abandon: (claims: readonly ClaimId[]) => void
  readonly onFatal: (error: Error) => void
}

/** How the service opens its inbox: what it says while it waits, and what it watches. */
export async function inboxOptions(parts: InboxParts): Promise<OpenInboxOptions> {
  const { config, clock, log, events, signal, onNotReady } = parts
  const database = describeDatabase(config.database)
  return {
    clock,
    minFree: config.minFreeDisk,
    signal,
    about: await aboutThis(config),
    onWait(why, reason) {
      onNotReady(why === 'locked' ? 'inbox_locked' : 'inbox')
      if (why === 'locked') log.warn({ database }, 'another service holds the database; waiting for it to end')
      else log.warn({ database, reason }, 'the database does not answer; trying until it does')
    },
    onWarning: (message) => log.warn(message),
    onSearch: createSearchLog(log),
    onTransaction: (transaction) => void events.emit('committed', transaction),
    onRead: (question, ms) => void events.emit('read', { question, ms }),
    onLost(claims) {
      log.warn({ jobs: claims.length }, 'another replica took this one for dead: its jobs are interrupted')
      parts.abandon(claims)
    },
    onDeath(error) {
      onNotReady('inbox')
      parts.onFatal(error)
    },
  }
}
