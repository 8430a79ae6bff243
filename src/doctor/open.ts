import type { Fleet } from '../inbox/fleet.ts'
import type { Ledger } from '../inbox/inbox.ts'
import { isServiceRunning, openLedger } from '../inbox/open.ts'
import { createOutboundFetch, type Fetch } from '../outbound/fetch.ts'
import { createProxySettings, NO_PROXIES } from '../outbound/proxy.ts'
import { createProver, type Prover } from '../proof.ts'
import { createScrub } from '../telemetry/scrub.ts'
import { packageVersion } from '../version.ts'
import type { DoctorContext, Within } from './context.ts'
import { Skip } from './finding.ts'
import { createOutside } from './outside/outside.ts'
import type { DoctorSettings } from './read-settings.ts'

export type OpenedDoctor = {
  readonly context: DoctorContext
  readonly url: string | null
  /** Ends what is under way, and closes what was opened. Takes MAX_CLOSE_MS at most. */
  close(): Promise<void>
}

/** A service in this process. Both are null while it is not open. */
export type RunningService = Within & {
  ledger(): (Ledger & Pick<Fleet, 'replicas'>) | null
  prover(): Prover | null
}

type OpenedLedger = Awaited<ReturnType<typeof openLedger>>

type DoctorOptions = {
  readonly settings: DoctorSettings
  /** Where Svix reaches the service; null: PUBLIC_URL. */
  readonly url: URL | null
  /** How long the public URL may take to answer, ms; default: as long as Svix waits. */
  readonly timeout?: number | undefined
} & Pick<DoctorContext, 'tryHandler' | 'loadHandler'>

/** What is open may hang, as a disk does: it is left behind then, ms. */
const MAX_CLOSE_MS = 2_000

/** For a process of its own: looks at the inbox as far as the settings allow. Opens nothing before a check asks for it. */
export function openDoctor(options: DoctorOptions): OpenedDoctor {
  const { settings } = options
  let opening: Promise<OpenedLedger> | null = null

  /** Several checks wait for it, or none. */
  function ledger(): Promise<OpenedLedger> {
    opening ??= openLedger(settings.get('database'))
    opening.catch(() => {})
    return opening.catch(() => {
      throw new Skip('the database cannot be read: see database')
    })
  }

  async function prover(): Promise<Prover | null> {
    try {
      return createProver(await (await ledger()).linkKey())
    } catch {
      return null
    }
  }

  const isRunning = async () => isServiceRunning(settings.get('database'), await ledger())
  const inbox = { ledger, prover, isRunning, within: null }
  return opened(options, inbox, async () => (await opening)?.close())
}

/** For the process of a service: looks at the inbox that it has open, and calls no handler. */
export function openDoctorWithin(service: RunningService, options: Pick<DoctorOptions, 'settings'>): OpenedDoctor {
  async function ledger() {
    const open = service.ledger()
    if (open === null) throw new Skip('the service has stopped')
    return open
  }
  // The service has loaded its handler, and a second time could do anything to its process.
  const handler = { tryHandler: null, loadHandler: async () => null }
  const inbox = { ledger, prover: async () => service.prover(), isRunning: async () => true, within: service }
  return opened({ ...options, ...handler, url: null }, inbox, async () => {})
}

type InboxParts = Pick<DoctorContext, 'ledger' | 'prover' | 'isRunning' | 'within'>

function opened(options: DoctorOptions, inbox: InboxParts, closeInbox: () => Promise<void>): OpenedDoctor {
  const { settings, tryHandler, loadHandler } = options
  const stopping = new AbortController()
  const outbound = createOutboundFetch(proxiesOf(settings))
  const url = options.url ?? publicUrlOf(settings)
  return {
    url: url?.href ?? null,
    context: {
      ...{ settings, tryHandler, loadHandler, ...inbox, now: Date.now, version: packageVersion() },
      scrub: createScrub(settings.secrets),
      fetch: outbound.fetch as Fetch,
      outside: url === null ? null : createOutside(url, stopping.signal, options.timeout),
    },
    async close() {
      stopping.abort()
      const closing = Promise.allSettled([outbound.close(), closeInbox()])
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, MAX_CLOSE_MS)
      await Promise.race([closing, late.promise])
      clearTimeout(timer)
    },
  }
}

function publicUrlOf(settings: DoctorSettings): URL | null {
  const text = settings.find('publicUrl')
  return text ? new URL(text) : null
}

function proxiesOf(settings: DoctorSettings) {
  const proxy = settings.find('proxy')
  return proxy ? createProxySettings({ httpsProxy: proxy.https, httpProxy: proxy.http, noProxy: proxy.no }) : NO_PROXIES
}
