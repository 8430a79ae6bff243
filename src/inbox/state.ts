import type { JobState, Stage } from '../job.ts'

/** How the inbox and the service on it stand. */

/** A pause that an operator asked for. */
export type OperatorPause = { readonly since: number; readonly reason: string | null }

export type Stats = {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly deliveries: Readonly<Record<'job' | 'ignored' | 'rejected', number>>
  /** When the job that has been queued longest was queued; null when none is. */
  readonly oldestQueuedAt: number | null
  /** When the first queued job of each stage fell due, or will, ms; null when none is queued. */
  readonly oldestDueAt: Readonly<Record<Stage, number | null>>
  readonly lastVerifiedAt: number | null
  /** The same of each endpoint that had one, in order of their names. */
  readonly endpoints: readonly { readonly endpoint: string; readonly lastVerifiedAt: number }[]
  /** Queued jobs by what they wait for. */
  readonly queued: Readonly<Record<Stage, number>>
  readonly paused: boolean
}

/** What the inbox knows of the service that works on it. */
export type ServiceState = {
  /** Since when and why an operator has stopped claims; null while they go on. */
  readonly pause: OperatorPause | null
  /** When the service that runs, or ran last, opened the inbox, ms; null when none has. */
  readonly startedAt: number | null
}
