import type { Fleet } from '../inbox/fleet.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { Fetch } from '../outbound/fetch.ts'
import type { Prover } from '../proof.ts'
import type { Config } from '../settings/config.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { type Finding, Skip } from './finding.ts'
import type { Outside } from './outside/outside.ts'

/** A part of the settings, or what is wrong with it. */
export type Settings = {
  /** Everything that is wrong with the settings; one line each, which begins with the setting's name. */
  readonly problems: readonly string[]
  /** @throws Skip when the settings that it is made from are wrong or missing */
  get<K extends keyof Config>(name: K): Config[K]
}

/** What became of a call of the handler with a made-up result. */
export type Tried =
  | { readonly is: 'taken' | 'retry' | 'refused'; readonly message: string | null; readonly ms: number }
  | { readonly is: 'failed'; readonly message: string }

/** What doctor looks at, and through what. */
export type DoctorContext = {
  readonly settings: Settings
  readonly version: string
  readonly now: () => number
  readonly scrub: Scrub
  /** Calls to others, through the proxies of the settings. */
  readonly fetch: Fetch
  /** Whether a service holds the database. */
  readonly isRunning: () => Promise<boolean>
  /** The operators' view of the inbox, opened once. @throws Skip when there is none */
  readonly ledger: () => Promise<
    Pick<Ledger, 'list' | 'overdue' | 'deliveries' | 'stats' | 'service'> & Pick<Fleet, 'replicas'>
  >
  /** What answers are recognised by; null when the inbox cannot be read. */
  readonly prover: () => Promise<Prover | null>
  /** Loads the handler in a thread of its own and calls it with a made-up result; null when that was declined. */
  readonly tryHandler: ((path: string) => Promise<Tried>) | null
  /** Only loads it. Null: it can be loaded. */
  readonly loadHandler: (path: string) => Promise<string | null>
  /** The URL that Svix calls, and what is known of it; null when nobody said which it is. */
  readonly outside: Outside | null
}

/** One thing to look at. `run` may throw anything; Skip says why there is nothing to tell. */
export type Check = {
  readonly name: string
  readonly group: 'here' | 'outside'
  /** After so long it is given up, ms; default MAX_CHECK_MS. */
  readonly limit?: number
  run(context: DoctorContext, signal: AbortSignal): Promise<Finding>
}

/** @throws Skip without a URL */
export function outsideOf({ outside }: DoctorContext): Outside {
  if (outside) return outside
  throw new Skip('no public URL is known', 'set PUBLIC_URL, or give --url https://your-host')
}
