import { statfs } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import type { Clock } from './clock.ts'
import type { HandlerChoice } from './handler/open.ts'
import type { Health } from './http/health.ts'
import type { Opened, PagesDeps } from './http/pages/deps.ts'
import type { Inbox } from './inbox/inbox.ts'
import { inboxBytes } from './inbox/open.ts'
import { metadataOf } from './receive/metadata.ts'
import { contentOf } from './receive/parse.ts'
import type { Config } from './settings/config.ts'
import { describeResultsLocation } from './settings/stores.ts'
import type { EventBus } from './telemetry/events.ts'
import { formatBytes } from './units.ts'
import { packageVersion } from './version.ts'
import type { Worker } from './worker/worker.ts'

type PagesConfig = Pick<
  Config,
  | 'publicUrl'
  | 'endpoints'
  | 'directToken'
  | 'database'
  | 'results'
  | 'concurrency'
  | 'reducto'
  | 'retention'
  | 'resultsRetention'
  | 'hidesContent'
> & { readonly handler: HandlerChoice | null }

type PagesParts = {
  readonly config: PagesConfig
  readonly clock: Clock
  readonly health: Health
  readonly events: EventBus
  readonly atRisk: PagesDeps['atRisk']
  readonly doctor: PagesDeps['doctor']
  /** Null while the service is not started. */
  readonly opened: () => OpenedParts | null
}

type OpenedParts = Pick<Opened, 'results' | 'previews'> & { readonly inbox: Inbox; readonly worker: Worker }

/** Wires the operator's pages. */
export function composePages({ config, clock, health, events, atRisk, doctor, opened }: PagesParts): PagesDeps {
  return {
    clock,
    health,
    events,
    atRisk,
    doctor,
    opened() {
      const parts = opened()
      if (parts === null) return null
      const { inbox: ledger, results, previews, worker } = parts
      return { ledger, results, previews, busy: worker.busy }
    },
    metadataOf,
    contentOf,
    service: {
      publicUrl: config.publicUrl,
      endpoints: new Map([...config.endpoints].map(([name, secrets]) => [name, secrets.length])),
      hasHandler: config.handler !== null,
      handlerPath: config.handler?.kind === 'module' ? shortPath(config.handler.path) : null,
      hidesContent: config.hidesContent,
      places: config.concurrency,
      facts: () => factsOf(config),
    },
  }
}

const DAY_MS = 86_400_000

async function factsOf(config: PagesConfig): Promise<readonly (readonly [name: string, text: string])[]> {
  const { endpoints, directToken, database, results, retention, resultsRetention, reducto } = config
  const [free, inbox] = await Promise.all([
    results.kind === 'file' ? freeText(results.path) : null,
    inboxBytes(database).catch(() => ({})),
  ])
  const bytes = Object.values(inbox).reduce<number>((sum, part) => sum + (part ?? 0), 0)
  const secrets = [...endpoints].map(([name, keys]) => (keys.length > 1 ? `${name} (${keys.length} secrets)` : name))
  const kept = resultsRetention === null ? 'results for ever' : `results ${Math.round(resultsRetention / DAY_MS)} d`
  return [
    ['Handler', handlerText(config.handler)],
    ['Reducto', new URL(reducto.baseUrl).host],
    ['Endpoints', [...secrets, ...(directToken === null ? [] : ['direct'])].join(', ')],
    ['Results', [describeResultsLocation(results), free].filter((text) => text !== null).join(' · ')],
    [
      'Inbox',
      [database.kind === 'sqlite' ? 'SQLite' : database.kind, ...(bytes > 0 ? [formatBytes(bytes)] : [])].join(' · '),
    ],
    ['Kept', `${Math.round(retention / DAY_MS)} d, ${kept}`],
    ['Version', packageVersion()],
  ]
}

function handlerText(handler: HandlerChoice | null): string {
  if (handler === null) return 'none: results are only saved'
  if (handler.kind === 'module') return shortPath(handler.path)
  return handler.kind === 'forward' ? `forwards to ${new URL(handler.url).host}` : 'a function of the app'
}

/** As somebody in the folder of the service would write it. */
function shortPath(path: string): string {
  const short = relative('.', path)
  return short.startsWith('..') ? path : short
}

/** Null where it cannot be told. */
async function freeText(folder: string): Promise<string | null> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return `${formatBytes(bavail * bsize)} free`
  } catch {
    const parent = dirname(folder)
    return parent === folder ? null : freeText(parent)
  }
}
