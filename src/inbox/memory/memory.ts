import { randomBytes } from 'node:crypto'
import type { Attempt, Content } from '../inbox.ts'
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
  lastVerifiedAt: number | null
  isPaused: boolean
  /** A stop was requested: the next start treats running jobs as interrupted. */
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
  /** Null after it was erased. */
  body: Buffer | null
}

/** A job and everything that belongs to it. Its record is replaced, never modified. */
export type JobEntry = {
  readonly seq: number
  job: StoredJob
  sideFiles: StoredSideFiles | null
  readonly deliveries: StoredDelivery[]
  /** Further endpoints that announced the job. */
  readonly otherEndpoints: Set<string>
  /** By the token of their claim, earliest first. */
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
