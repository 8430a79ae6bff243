import { randomBytes } from 'node:crypto'
import type { Attempt, Content } from '../inbox.ts'
import type { StoredJob, StoredSideFiles } from '../transitions.ts'

/** What an inbox in memory holds. It outlives the inbox, as a file would: opened again, it is the same after a restart. */
export type Memory = {
  /** By `svixId`. */
  readonly deliveries: Map<string, StoredDelivery>
  /** By job id, in the order in which they were created. */
  readonly jobs: Map<string, JobEntry>
  readonly linkKey: Buffer
  /** The last number of a delivery, a job, a claim. */
  lastDelivery: number
  lastJob: number
  lastToken: number
  lastVerifiedAt: number | null
  isPaused: boolean
  /** A stop was asked for: what runs is interrupted by the next start. */
  isStopAsked: boolean
}

export type StoredDelivery = {
  readonly number: number
  readonly svixId: string
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly jobId: string | null
  readonly status: string | null
  readonly receivedAt: number
  lastAt: number
  arrivals: number
  /** Null when it was erased. */
  body: Buffer | null
}

/** A job with all that belongs to it. Its record is replaced, never changed. */
export type JobEntry = {
  readonly seq: number
  job: StoredJob
  sideFiles: StoredSideFiles | null
  readonly deliveries: StoredDelivery[]
  /** Endpoints that announced it, beside the first. */
  readonly otherEndpoints: Set<string>
  /** By the token of their claim, the earliest first. */
  readonly attempts: Map<number, Attempt>
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
    isPaused: false,
    isStopAsked: false,
  }
}
