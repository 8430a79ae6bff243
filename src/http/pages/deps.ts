import type { Clock } from '../../clock.ts'
import type { AtRisk, Ledger } from '../../inbox/inbox.ts'
import type { ContentOf } from '../../operations/deliveries.ts'
import type { MetadataOf } from '../../operations/list.ts'
import type { DoctorReport } from '../../operator/doctor.ts'
import type { Previews } from '../../operator/preview/previews.ts'
import type { Results } from '../../results/results.ts'
import type { EventBus } from '../../telemetry/events.ts'
import type { Health } from '../health.ts'

/** What the pages are made from. */
export type PagesDeps = {
  readonly clock: Clock
  readonly health: Health
  readonly events: EventBus
  /** The jobs whose result only Reducto has, looked for at most once a minute; null while it is not known. */
  readonly atRisk: () => Promise<AtRisk | null>
  /** What is open while the service runs; null before and after. */
  readonly opened: () => Opened | null
  readonly metadataOf: MetadataOf
  readonly contentOf: ContentOf
  /** The checks of `doctor`; null for a service that does not know all settings that they look at. */
  readonly doctor: DoctorRunner | null
  /** Settings that pages show or depend on. */
  readonly service: ServiceSettings
}

export type DoctorRunner = {
  /**
   * Makes all checks within this process, after `before`. Null when they are being made already, also for somebody who has gone
   * since. Always ends; rejects as `before` does.
   */
  run(before: () => Promise<unknown>): Promise<DoctorReport> | null
}

export type Opened = {
  readonly ledger: Ledger
  readonly results: Results
  readonly previews: Previews
  readonly busy: Readonly<Record<'fetch' | 'hand_over', number>>
}

type ServiceSettings = {
  /** Where the world reaches the service: null when PUBLIC_URL is not set. */
  readonly publicUrl: string | null
  /** How many signing secrets each endpoint has. */
  readonly endpoints: ReadonlyMap<string, number>
  readonly hasHandler: boolean
  /** The handler's file; null when there is none. */
  readonly handlerPath: string | null
  readonly hidesContent: boolean
  /** Places of each loop. */
  readonly places: number
  /** What else people ask about: names and texts. Read anew for each page. */
  facts(): Promise<readonly (readonly [name: string, text: string])[]>
}
