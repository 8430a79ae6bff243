import { randomBytes } from 'node:crypto'
import type { Action, Attempt, Content, JobAction, OperatorPause } from '../inbox.ts'
import type { StoredJob, StoredSideFiles } from '../transitions.ts'

/**
 * The contents of an inbox in memory. They outlive the inbox, like a file: an inbox opened on them behaves as after a
 * restart.
 */
export type Memory = {
  /** By `svixId`. */
  readonly deliveries: Map<string, StoredDelivery>
  /** By job id, in order of creation. */
  readonly jobs: Map<string, JobEntry>
  readonly linkKey: Buffer
  /** The last number given to a delivery, a job, a claim. */
  lastDelivery: number
  lastJob: number
  lastToken: number
  /** The last verified delivery's time, in all and by endpoint. */
  lastVerifiedAt: number | null
  readonly lastVerifiedBy: Map<string, number>
  /** The earliest first. */
  actions: readonly Action[]
  /** The last number given to an action. */
  lastAction: number
  /** Counts by name of each minute and hour. */
  readonly counts: { readonly minute: CountsByTime; readonly hour: CountsByTime }
  /** Since when and why an operator has stopped claims; null while they go on. */
  pause: OperatorPause | null
  /** When the service looked after its jobs last. */
  lookedAt: number | null
  /** When it was opened last. */
  startedAt: number | null
  /** A stop was asked for: what runs is interrupted by the next start. */
  isStopAsked: boolean
}

type CountsByTime = Map<number, Map<string, number>>

export type StoredDelivery = {
  readonly number: number
  readonly svixId: string
  readonly endpoint: string
  disposition: Content['is']
  jobId: string | null
  status: string | null
  /** Why it was rejected. */
  rejectedReason: string | null
  readonly receivedAt: number
  lastAt: number
  arrivals: number
  /** Null after it was erased. */
  body: Buffer | null
}

/** A job and everything that belongs to it. Its record is replaced, never modified. */
export type JobEntry = {
  readonly seq: number
  job: StoredJob
  sideFiles: StoredSideFiles | null
  /** Null when nobody has registered it. `body` has the metadata, null when none was given, or it was erased. */
  registration: StoredRegistration | null
  /** The earliest first. */
  deliveries: readonly StoredDelivery[]
  /** Endpoints that announced it, beside the first. */
  readonly otherEndpoints: Set<string>
  /** By the token of their claim, earliest first. */
  readonly attempts: Map<number, Attempt>
  /** What operators did with it, the earliest first. */
  actions: readonly JobAction[]
}

type StoredRegistration = {
  readonly endpoint: string | null
  readonly body: Buffer | null
  readonly by: string
  readonly at: number
}

/** The text with a job's metadata: registered, else of its first delivery. */
export function bodyOf(entry: JobEntry): string | null {
  const body = entry.registration?.body ?? firstDeliveryOf(entry)?.body
  return body?.toString('utf8') ?? null
}

/** The delivery that announced a job first; null when none has. */
export function firstDeliveryOf({ job, deliveries }: JobEntry): StoredDelivery | null {
  return deliveries.find(({ number }) => number === job.firstDelivery) ?? null
}

export function createMemory(): Memory {
  return {
    deliveries: new Map(),
    jobs: new Map(),
    linkKey: randomBytes(32),
    lastDelivery: 0,
    lastJob: 0,
    lastToken: 0,
    lastVerifiedAt: null,
    lastVerifiedBy: new Map(),
    actions: [],
    lastAction: 0,
    counts: { minute: new Map(), hour: new Map() },
    pause: null,
    startedAt: null,
    lookedAt: null,
    isStopAsked: false,
  }
}
