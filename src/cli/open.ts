import { userInfo } from 'node:os'
import type { Actor } from '../actor.ts'
import { openLedger } from '../inbox/open.ts'
import { metadataOf } from '../receive/metadata.ts'
import { contentOf } from '../receive/parse.ts'
import { openResults } from '../results/open.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { describeResultsLocation } from '../settings/stores.ts'
import { createEvents } from '../telemetry/events.ts'

/** What commands for operators work on: the inbox and the results of this installation, beside a service or not. */
export async function openForOperator() {
  const config = loadConfig(environment(), ['database', 'results', 'minFreeDisk'])
  const opening = new AsyncDisposableStack()
  const ledger = opening.adopt(await openLedger(config.database), (one) => one.close())
  try {
    const results = await openResults(config.results, { minFree: config.minFreeDisk })
    return {
      ...{ ledger, results, metadataOf, contentOf, config, now: Date.now },
      ...{ actor: cliActor(), events: createEvents() },
      place: describeResultsLocation(config.results),
      [Symbol.asyncDispose]: () => opening.disposeAsync(),
    }
  } catch (error) {
    await opening.disposeAsync()
    throw error
  }
}

/** Whoever runs the command: a container's user may have no name. */
function cliActor(): Actor {
  try {
    return { who: `cli:${userInfo().username}`, role: 'cli' }
  } catch {
    return { who: `cli:${process.getuid?.() ?? 'unknown'}`, role: 'cli' }
  }
}

export type Operator = Awaited<ReturnType<typeof openForOperator>>
