import type { JobState, Reason, Stage, Standing } from '../job.ts'

/**
 * The inbox: every delivery and every job, durable. It is a port with one implementation a database, split by who uses
 * it. All promises below are kept by every implementation, and checked by one contract suite.
 *
 * Nothing resolves before it is durable: what an answer or a settlement rests on has survived a power cut by then.
 */
export interface Inbox extends Intake, Queue, Ledger {
  close(): Promise<void>
}

/** For `receive`. */
export interface Intake {
  /**
   * Records a delivery once per `svixId` and queues its job as `onDelivery` says. Of copies that arrive together
   * exactly one is not a duplicate, and none resolves before that one is durable.
   * @throws InboxUnavailable when it cannot be recorded (now, or in time).
   */
  accept(delivery: Delivery): Promise<Receipt>
  /** Whether nothing can be recorded now, as far as is known. It looks for itself when that is over. */
  isFailing(): boolean
}

/** For the worker. */
export interface Queue {
  /** Takes due jobs, the longest due first, as many as there are places for. None while paused by an operator. */
  claim(places: Places): Promise<readonly Claim[]>
  /** Resolves when a claim of the last places may find something that it did not find before, or when `signal` aborts. */
  ready(signal: AbortSignal): Promise<void>
  /** Keeps claims alive. Returns those that are lost: another worker has the job, or somebody deleted it. */
  extend(claims: readonly Claim[]): Promise<readonly Claim[]>
  /**
   * Ends a claim: the job stands as `next`, and the attempt is noted. False when the claim is lost: nothing changed.
   * A job that ends while a delivery contradicts what was recorded is queued again, to be fetched anew.
   */
  settle(claim: Claim, next: Standing, attempt: Attempt): Promise<boolean>
}

/** How many jobs may be claimed: to be fetched, to be handed over, and in all. */
export type Places = { readonly fetches: number; readonly handOvers: number; readonly most: number }

/** For operators and the command line. */
export interface Ledger {
  get(jobId: string): Promise<JobDetail | null>
  /** Jobs, the newest first, up to `limit` from where `cursor` (a page's `next`) says. */
  list(filter: JobFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<JobPage>
  stats(): Promise<Stats>
  /**
   * Queues again all dead and done jobs that match, as a delivery for a dead job would, and makes queued ones due; many of
   * them one after another, so that new jobs find their place between them. Returns how many.
   */
  requeue(filter: JobFilter, options?: Requeue): Promise<number>
  /**
   * Forgets the job's deliveries' bodies and its attempts. Its ids stay, so that nothing brings it back but a person. What
   * it returns is what it found; a job that runs is left alone.
   */
  erase(jobId: string): Promise<'erased' | 'running' | 'unknown'>
  /** Stops or allows claims. Stored: holds for every process and over restarts. */
  pause(on: boolean): Promise<void>
  /**
   * Forgets deliveries and done jobs whose last activity was before this time (ms), step by step until `signal` aborts.
   * Returns how many rows went.
   */
  forget(before: number, signal?: AbortSignal): Promise<number>
}

/** A webhook that may be recorded: verified, and parsed as far as it goes. `body` is the verified text. */
export type Delivery = {
  readonly svixId: string
  readonly endpoint: string
  readonly receivedAt: number
  readonly body: string
  readonly content: Content
}

export type Content =
  | { readonly is: 'job'; readonly jobId: string; readonly status: string }
  | { readonly is: 'ignored' }
  | { readonly is: 'rejected'; readonly reason: string }

/** What became of a delivery. `job`: the state of its job now; null when it concerns none. */
export type Receipt = { readonly duplicate: boolean; readonly requeued: boolean; readonly job: JobState | null }

/** A job in the hands of one worker. `token` fences it: a later claim of the same job has a higher one. */
export type Claim = {
  readonly jobId: string
  readonly token: number
  readonly standing: Standing
  /** The endpoint that announced the job first. */
  readonly endpoint: string
  /** All that announced it. */
  readonly endpoints: readonly string[]
  /** The first delivery; null when none announced the job. */
  readonly svixId: string | null
  readonly receivedAt: number
  /** When the job was last queued, by a delivery or a person. */
  readonly queuedAt: number
  /** How often it has been: all attempts until it is done make one round. */
  readonly round: number
  /** The text of the first delivery. */
  readonly body: string | null
  /** A record from before `queuedAt` is out of date and is to be replaced. */
  readonly refetch: boolean
  /** Deliveries since the job was last done (or first queued): with any, a record that `announced` contradicts is out of date. */
  readonly news: number
  /** The status that the latest delivery announced. */
  readonly announced: string | null
}

/** What is noted about an attempt. */
export type Attempt = {
  readonly startedAt: number
  readonly ms: number
  /** How far it got. */
  readonly stage: Stage
  readonly outcome: string
  readonly reason: Reason | null
  /** The status and type of the record that it saved or found; null when there is none. */
  readonly recorded: string | null
  readonly type: string | null
}

/** All that is given must match. */
export type JobFilter = {
  readonly state?: JobState
  readonly jobId?: string
  /** As recorded, or announced: `Completed`, `Failed`. */
  readonly status?: string
  /** The kind of job, as in its record. */
  readonly type?: string
  /** The endpoint that announced it first. */
  readonly endpoint?: string
  /** The code of its reason, or a part of the message. */
  readonly error?: string
  /** The start of its id, or of the svix-id of one of its deliveries. */
  readonly q?: string
  /** Last activity at this time (ms) or later. */
  readonly since?: number
}

export type JobPage = { readonly rows: readonly JobRow[]; readonly next: string | null }

/** `dryRun` only counts; `refetch` also fetches done jobs anew; the first is due `after` so many ms. */
export type Requeue = { readonly dryRun?: boolean; readonly refetch?: boolean; readonly after?: number }

export type JobRow = {
  readonly jobId: string
  readonly state: JobState
  readonly stage: Stage
  readonly status: string | null
  readonly type: string | null
  readonly endpoint: string
  readonly tries: number
  readonly crashes: number
  readonly dueAt: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly reason: Reason | null
}

export type JobDetail = JobRow & {
  readonly endpoints: readonly string[]
  readonly deliveries: readonly DeliveryRow[]
  /** The latest first. */
  readonly attempts: readonly Attempt[]
}

export type DeliveryRow = {
  readonly svixId: string
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly status: string | null
  readonly receivedAt: number
  readonly lastAt: number
  /** How often it arrived. */
  readonly arrivals: number
}

export type Stats = {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly deliveries: Readonly<Record<Content['is'], number>>
  /** When the job that has been queued longest was queued; null when none is. */
  readonly oldestQueuedAt: number | null
  readonly lastVerifiedAt: number | null
  readonly paused: boolean
}

/** The inbox cannot take a write: nothing was acknowledged, though a write under way may still land. */
export class InboxUnavailable extends Error {
  readonly code: 'full' | 'slow' | 'failed' | 'closed'
  constructor(code: InboxUnavailable['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'InboxUnavailable'
    this.code = code
  }
}
