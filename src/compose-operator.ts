import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Clock } from './clock.ts'
import type { ApiDeps } from './http/api/api.ts'
import { detailsOf, type Health } from './http/health.ts'
import type { AtRisk, Inbox } from './inbox/inbox.ts'
import type { InboxPlace } from './inbox/open.ts'
import type { Disk } from './operations/status.ts'
import type { Previews } from './operator/preview/previews.ts'
import type { Results } from './results/results.ts'
import type { Config } from './settings/config.ts'
import type { EventBus } from './telemetry/events.ts'
import type { Scrub } from './telemetry/scrub.ts'
import { packageVersion } from './version.ts'

type Stores = Pick<Config, 'database' | 'results'>

type OperatorParts = {
  readonly config: Stores & Pick<Config, 'minFreeDisk' | 'endpoints' | 'hidesContent'>
  readonly clock: Clock
  readonly scrub: Scrub
  readonly health: Health
  readonly events: EventBus
  readonly atRisk: () => Promise<AtRisk | null>
  /** Null while the service is not started. */
  readonly opened: () => { readonly inbox: Inbox; readonly results: Results; readonly previews: Previews } | null
}

/** Wires what operators work on: the running service itself. */
export function composeApi({ config, clock, scrub, health, events, atRisk, opened }: OperatorParts): ApiDeps {
  const version = packageVersion()

  function readiness() {
    const { notReady, degraded } = health()
    return { notReady, degraded: degraded.map(({ name }) => name), details: detailsOf(degraded) }
  }

  return {
    version,
    work() {
      const parts = opened()
      if (parts === null) return null
      const { inbox: ledger, results, previews } = parts
      const disks = () => disksOf(config)
      const endpoints = [...config.endpoints.keys()]
      return {
        ledger,
        results,
        endpoints,
        readiness,
        atRisk,
        disks,
        minFree: config.minFreeDisk,
        hidesContent: config.hidesContent,
        previews,
        version,
        now: clock.now,
        scrub,
        events,
      }
    },
  }
}

/** The folders that a service writes to, and what is free there. */
export async function disksOf({ database, results }: Stores): Promise<readonly Disk[]> {
  const place: InboxPlace = database
  const folders: Omit<Disk, 'free'>[] = []
  if (place.kind === 'sqlite') folders.push({ what: 'inbox', place: dirname(resolve(place.path)) })
  if (results.kind === 'file') folders.push({ what: 'results', place: resolve(results.path) })
  return Promise.all(folders.map(async (one) => ({ ...one, free: await freeAt(one.place) })))
}

async function freeAt(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  } catch {
    return null
  }
}
