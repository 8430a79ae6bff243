import type { Clock } from './clock.ts'
import type { AtRisk, Inbox } from './inbox/inbox.ts'
import type { Results } from './results/results.ts'
import type { Config } from './settings/config.ts'
import { type Cached, createCached } from './telemetry/cached.ts'
import type { EventBus } from './telemetry/events.ts'
import type { Log } from './telemetry/log.ts'
import { countMinutes } from './telemetry/minutes.ts'
import { type Retention, startRetention } from './worker/retention.ts'

/** Results that only Reducto has are looked for at most so often, and told for so long, ms. */
const AT_RISK = { refreshAfter: 60_000, maxAge: 180_000 }

/** Who asks shares one look a minute. `opened`: null while the service is not started. */
export function createAtRisk(opened: () => Inbox | null, clock: Clock): Cached<AtRisk> {
  async function look(): Promise<AtRisk> {
    const inbox = opened()
    if (inbox === null) throw new Error('not started')
    return inbox.atRisk()
  }
  return createCached(look, clock, AT_RISK)
}

type UpkeepParts = {
  readonly config: Pick<Config, 'retention' | 'bodyRetention' | 'resultsRetention'>
  readonly inbox: Inbox
  readonly results: Results
  readonly clock: Clock
  readonly events: EventBus
  readonly log: Log
  readonly opening: AsyncDisposableStack
}

/** Starts what is done by the clock: what is past its time is deleted, and what happened is counted by the minute. */
export function composeUpkeep({ config, inbox, results, clock, events, log, opening }: UpkeepParts): Retention {
  const { retention: kept, bodyRetention, resultsRetention } = config
  const retention = startRetention({ inbox, results, clock, log, retention: kept, bodyRetention, resultsRetention })
  opening.defer(() => retention.stop())
  const minutes = countMinutes({ events, clock, write: inbox.count })
  opening.defer(() => minutes.stop())
  return retention
}
