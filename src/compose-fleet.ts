import { createHash, randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './clock.ts'
import { mkdirDurably } from './fsync.ts'
import type { HandlerChoice } from './handler/open.ts'
import type { About, Fleet, Replica } from './inbox/fleet.ts'
import type { Config } from './settings/config.ts'
import type { Trouble } from './telemetry/degradations.ts'
import type { Scrub } from './telemetry/scrub.ts'
import { packageVersion } from './version.ts'

/** What services on one database tell each other, and what they watch: settings that must agree, one place for results. */

/** The other replicas are looked at this often, ms. */
const LOOK_EVERY_MS = 10_000
/** A setting may differ for this long, ms: it is changed on one replica after another. */
const MAX_DIFFERENCE_MS = 600_000
/** Characters of a digest: enough to tell two values apart, too few to search for one. */
const DIGEST_CHARS = 8

type FleetConfig = Omit<Config, 'host' | 'port' | 'adminPort' | 'trustProxy' | 'logLevel' | 'handler'> & {
  readonly handler: HandlerChoice | null
}

/** What this service tells the others. */
export async function aboutThis(config: FleetConfig): Promise<About> {
  const settings = {
    REDUCTO_API_KEY: [config.reducto.apiKey],
    REDUCTO_BASE_URL: [config.reducto.baseUrl],
    SVIX_WEBHOOK_SECRET: [...config.endpoints].sort().flatMap(([name, secrets]) => [name, ...[...secrets].sort()]),
    RESULTS_URL: config.results.kind === 's3' ? [JSON.stringify(config.results)] : ['file'],
    HANDLER: [config.handler?.kind ?? 'none'],
    FETCH_RETRY_FOR: [String(config.fetchRetryFor)],
    HANDLER_RETRY_FOR: [String(config.handlerRetryFor)],
    RETENTION: [String(config.retention), String(config.resultsRetention)],
  }
  return {
    version: packageVersion(),
    settings: Object.fromEntries(Object.entries(settings).map(([name, values]) => [name, digestOf(name, values)])),
    // Only replicas need to know: nothing is written for a service alone.
    results:
      config.results.kind === 'file' && config.database.kind === 'postgres'
        ? await folderId(config.results.path)
        : null,
    concurrency: config.concurrency,
  }
}

function digestOf(name: string, values: readonly string[]): string {
  const hash = createHash('sha256').update(`reducto-webhook-receiver ${name}`)
  for (const value of values) hash.update('\0').update(value)
  return hash.digest('hex').slice(0, DIGEST_CHARS)
}

/** A folder of results knows itself by a file with a random id: two replicas that read the same one share the folder. */
async function folderId(root: string): Promise<string> {
  const path = join(root, '.tmp', 'folder-id')
  await mkdirDurably(join(root, '.tmp'))
  await writeFile(path, randomUUID(), { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return (await readFile(path, 'utf8')).trim()
}

export type FleetWatch = {
  troubles(): Iterable<Trouble>
  stop(): Promise<void>
}

/** Looks at the other replicas from time to time. A look that fails leaves what was known. */
export function watchFleet(fleet: Pick<Fleet, 'replicas'>, clock: Clock, scrub: Scrub): FleetWatch {
  const stopping = new AbortController()
  let replicas: readonly Replica[] = []
  /** Since when each setting differs, on the clock that never jumps. */
  const differing = new Map<string, number>()

  async function look(): Promise<void> {
    replicas = await fleet.replicas()
    const now = differingSettings(replicas)
    for (const name of differing.keys()) if (!now.includes(name)) differing.delete(name)
    for (const name of now) if (!differing.has(name)) differing.set(name, clock.monotonic())
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look().catch(() => {})
      await clock.sleep(LOOK_EVERY_MS, stopping.signal)
    }
  }

  const looping = loop()
  return {
    *troubles() {
      const apart = apartFrom(replicas)
      if (apart)
        yield {
          name: 'results_apart',
          message: scrub(
            `${apart[0]} and ${apart[1]} keep results in different folders: what one saves the other does not find; give all of them one shared folder, or a bucket (RESULTS_URL)`,
          ),
        }
      const long = [...differing].filter(([, since]) => clock.monotonic() - since >= MAX_DIFFERENCE_MS)
      if (long.length > 0)
        yield {
          name: 'settings_differ',
          message: scrub(
            `the replicas do not have the same ${long.map(([name]) => name).join(', ')}: set the same for all of them`,
          ),
        }
    },
    async stop() {
      stopping.abort()
      await looping
    },
  }
}

/** Names of settings of which two living replicas have different values. */
function differingSettings(replicas: readonly Replica[]): string[] {
  const names = new Set(replicas.flatMap(({ settings }) => Object.keys(settings)))
  return [...names].filter((name) => {
    const values = replicas.flatMap(({ settings }) => settings[name] ?? [])
    return new Set(values).size > 1
  })
}

/** Two replicas with different folders of results; null when all share one. */
function apartFrom(replicas: readonly Replica[]): readonly [string, string] | null {
  const [first, ...others] = replicas.filter(({ results }) => results !== null)
  const other = others.find(({ results }) => results !== first?.results)
  return first && other ? [first.name, other.name] : null
}
