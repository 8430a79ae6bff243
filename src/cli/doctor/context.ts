import type { DoctorContext } from '../../doctor/context.ts'
import { Skip } from '../../doctor/finding.ts'
import { createOutside } from '../../doctor/outside/outside.ts'
import { isServiceRunning, openLedger } from '../../inbox/open.ts'
import { createOutboundFetch, type Fetch } from '../../outbound/fetch.ts'
import { createProxySettings, NO_PROXIES } from '../../outbound/proxy.ts'
import { createProver, type Prover } from '../../proof.ts'
import { environment } from '../../settings/environment.ts'
import type { Env } from '../../settings/given.ts'
import { createScrub } from '../../telemetry/scrub.ts'
import { packageVersion } from '../../version.ts'
import { createHandlerTrial } from './handler.ts'
import { type DoctorSettings, readSettings } from './settings.ts'

export type OpenedDoctor = {
  readonly context: DoctorContext
  readonly url: string | null
  /** Removes what was made, for a process that is about to end. */
  clear(): void
  close(): Promise<void>
}

type OpenedLedger = Awaited<ReturnType<typeof openLedger>>

/** What is open may hang, as a disk does: it is left to the end of the process then, ms. */
const MAX_CLOSE_MS = 2_000

/** What doctor looks at on this machine, as far as the settings allow. Opens nothing before a check asks for it. */
export async function openDoctor(options: {
  readonly url: URL | null
  readonly sample: boolean
  /** Default: this process's. */
  readonly env?: Env
  /** How long the public URL may take to answer, ms; default: as long as Svix waits. */
  readonly timeout?: number
}): Promise<OpenedDoctor> {
  const env = options.env ?? environment()
  const settings = readSettings(env)
  const { secrets } = settings
  const scrub = createScrub(secrets)
  const stopping = new AbortController()
  const outbound = createOutboundFetch(proxiesOf(settings))
  const url = options.url ?? publicUrlOf(settings)
  let opening: Promise<OpenedLedger> | null = null
  const trial = createHandlerTrial({ settings, secrets })

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

  return {
    url: url?.href ?? null,
    context: {
      ...{ settings, scrub, ledger, prover, now: Date.now, version: packageVersion() },
      fetch: outbound.fetch as Fetch,
      isRunning: async () => isServiceRunning(settings.get('database'), await ledger()),
      tryHandler: options.sample ? trial.call : null,
      loadHandler: trial.load,
      outside: url === null ? null : createOutside(url, stopping.signal, options.timeout),
    },
    clear: trial.clear,
    async close() {
      stopping.abort()
      trial.clear()
      const closing = Promise.allSettled([outbound.close(), opening?.then((one) => one.close())])
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
