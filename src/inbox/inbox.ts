import type { CleanReason, JobProgress, JobState, SideFilesProgress, Stage, Task } from '../job.ts'
import type { Attempt, NewAttempt } from './attempt.ts'
import type { Expected, Registered } from './expected.ts'
import type { JobFilter } from './filter.ts'
import type { Fleet } from './fleet.ts'
import type { JobAction, Journal, Page, PageOf } from './journal.ts'
import type { OperatorPause, ServiceState, Stats } from './state.ts'

export type { Attempt, AttemptWork, NewAttempt } from './attempt.ts'
export { type JobFilter, MAX_SEARCH_LENGTH } from './filter.ts'
export type * from './journal.ts'
export type * from './state.ts'

/**
 * The inbox: every delivery and every job, durable. It is a port with one implementation for each store, split by who uses
 * it. All promises below are kept by every implementation, and checked by one contract suite.
 *
 * Nothing resolves before it is durable: what an answer or a settlement rests on has survived a power cut by then.
 */
export interface Inbox extends Intake, Queue, Ledger, Fleet {
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
  /** Changes that wait for a transaction. */
  waitingRows(): number
}

/** For the worker. */
export interface Queue {
  /** Takes due jobs of one stage, chosen as `chooseClaims` says. None while paused by an operator. */
  claim(stage: Stage, slots: FreeSlots): Promise<readonly Claim[]>
  /**
   * Resolves when a claim of this stage may find something that the last one did not find, or when `signal` aborts. A
   * commit of this process is seen at once, those of others within a second.
   */
  ready(stage: Stage, signal: AbortSignal): Promise<void>
  /** Which of these claims are lost: another worker has the job, or somebody erased it. */
  lost(claims: readonly ClaimId[]): Promise<readonly ClaimId[]>
  /**
   * Ends the claim of a job: it stands as `next`, and the attempt is noted. False when the claim is lost: nothing changed. A
   * job whose result went out of date meanwhile is queued to be fetched anew. `sideFiles`: what is to be tried again beside.
   */
  settle(claim: Claim, next: JobProgress, attempt: NewAttempt, sideFiles: SideFilesProgress | null): Promise<boolean>
  /** Ends the claim of a try at side files: `next` says when there is another. False when the claim is lost. */
  settleSideFiles(claim: Claim, next: SideFilesProgress | null, attempt: NewAttempt): Promise<boolean>
  /** A stop was asked for: what is still running when the process ends was interrupted, and has not crashed. */
  stopAsked(): Promise<void>
  /** An operator has stopped claims, as far as is known here: seen within a second. Since when and why: null while not. */
  isPaused(): boolean
  operatorPause(): OperatorPause | null
  /** What is wrong with the room on the inbox's disk, for people; null while there is enough. */
  lowDisk(): Promise<string | null>
}

/**
 * `limit`: how many jobs may be claimed. `total`: slots of this stage in all. `newestFirst`: as a trial, see claims.ts.
 * `isOtherOpen`: the other stage may claim now; while it may not, its jobs that must run alone hold up nobody.
 */
export type FreeSlots = {
  readonly limit: number
  readonly total: number
  readonly newestFirst: boolean
  readonly isOtherOpen: boolean
}

/** For operators and the command line. Every read is a walk in bounded steps, however many jobs there are. */
export interface Ledger extends Journal, Expected {
  get(jobId: string): Promise<JobDetail | null>
  /**
   * Jobs, the newest first, up to `limit` from where `cursor` (a page's `next`) says. A page may hold fewer, or none,
   * although `next` is not null: then only a part was looked through in the time that one request may take.
   */
  list(filter: JobFilter, page: Page): Promise<JobPage>
  /** The job that was created first of those that match; null when none does. */
  oldest(filter: JobFilter): Promise<JobRow | null>
  /** Up to `limit` ids of jobs, or of deliveries, that begin with `prefix`, in order. */
  idsFrom(kind: 'job' | 'delivery', prefix: string, limit: number): Promise<readonly string[]>
  /** The text with each job's metadata: registered, else of its first delivery; null where there is none, or it was erased. */
  bodies(jobIds: readonly string[]): Promise<readonly (string | null)[]>
  /** Deliveries, the newest first; pages are as those of `list`. */
  deliveries(filter: DeliveryFilter, page: Page): Promise<DeliveryPage>
  /** One delivery, with its body; null when there is none with this id. */
  delivery(svixId: string): Promise<DeliveryDetail | null>
  /**
   * A delivery that concerned no job is taken for what its body says now: one that names a job does to that job what it
   * would have done on arrival. `unchanged`: it concerns a job already, or still none.
   */
  reread(svixId: string, content: Content, action?: number): Promise<'job' | 'unchanged' | 'unknown'>
  /** Forgets the body of a delivery that concerns no job, so that not even the file holds it. False for any other. */
  eraseDelivery(svixId: string): Promise<boolean>
  stats(): Promise<Stats>
  service(): Promise<ServiceState>
  /** How far search is behind: deliveries that it has to look through one by one. Null when there is no index to be behind. */
  searchLag(): Promise<number | null>
  /**
   * Queues again all dead and done jobs that match, as `onRequeue` says, and makes queued ones due; many of them one after
   * another, so that new jobs find their place between them. Returns how many it queued (or would, in a dry run).
   */
  requeue(filter: JobFilter, options?: Requeue): Promise<number>
  /**
   * Forgets the job's deliveries' bodies and its attempts, so that not even the file holds them. Its ids stay, so that
   * nothing brings it back but a person. What it returns is what it found; a job that runs is left alone.
   */
  erase(jobId: string, action?: number): Promise<'erased' | 'running' | 'unknown'>
  /**
   * Stops or allows claims, and notes since when and why. Stored: holds for every process and over restarts. A pause that
   * holds already keeps its beginning.
   */
  pause(on: boolean, reason?: string): Promise<void>
  /**
   * Deletes deliveries and done jobs whose last activity was before this time (ms), and what was noted before it, step by
   * step until `signal` aborts. Returns how many rows went.
   */
  prune(before: number, signal?: AbortSignal): Promise<number>
  /**
   * Deletes of the same deliveries and done jobs only the bodies, and of their attempts the texts, so that not even the
   * file holds them; their ids stay. Returns how many bodies and texts went.
   */
  pruneBodies(before: number, signal?: AbortSignal): Promise<number>
  /** The random key that links to saved files are signed with: made once, kept in the inbox, in no setting. 32 bytes. */
  linkKey(): Promise<Buffer>
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

/** `token` fences a claim: a later one has a higher token, and the earlier one changes nothing any more. */
export type ClaimId = { readonly jobId: string; readonly task: Task; readonly token: number }

/** A job in the hands of one worker. */
export type Claim = ClaimId & {
  readonly progress: JobProgress
  /** Of a try at side files: how those stand. */
  readonly sideFiles: SideFilesProgress | null
  /** The endpoint that announced the job first. */
  readonly endpoint: string
  /** All that announced it. */
  readonly endpoints: readonly string[]
  /** The first delivery that names the job; null when none announced it. */
  readonly svixId: string | null
  readonly receivedAt: number
  /** The text that has its metadata, as of `bodies`. */
  readonly body: string | null
  /** The status that the latest delivery announced. */
  readonly announced: string | null
  /** How often the job has been queued: all attempts until it is done make one round. */
  readonly round: number
  /** A saved result that was fetched in an earlier round is out of date. */
  readonly fetchSince: number
}

export type JobPage = PageOf<JobRow>

/** `dryRun` only counts; `refetch` also fetches done jobs anew. */
export type Requeue = {
  readonly dryRun?: boolean
  readonly refetch?: boolean
  /** The number of the action that this is a part of: each job's detail names it. */
  readonly action?: number
  /** These jobs are some of many that are queued together: the ones from `first` on, of `total`. */
  readonly part?: { readonly first: number; readonly total: number }
}

export type JobRow = {
  readonly jobId: string
  readonly state: JobState
  readonly stage: Stage
  readonly status: string | null
  readonly type: string | null
  readonly endpoint: string
  readonly failures: number
  readonly crashes: number
  readonly dueAt: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly reason: CleanReason | null
}

export type JobDetail = (JobRow & Registered) & {
  /** A worker has the job, or its missing side files, in hand. */
  readonly isRunning: boolean
  readonly endpoints: readonly string[]
  readonly deliveries: readonly DeliveryRow[]
  /** How often it has been queued, and when it was last, ms. */
  readonly round: number
  readonly queuedAt: number
  /** What operators did with it, and attempts at it: the latest first. */
  readonly actions: readonly JobAction[]
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

/** All that is given must match. */
export type DeliveryFilter = {
  readonly disposition?: Content['is']
  readonly endpoint?: string
  /** Received at this time (ms) or later. */
  readonly since?: number
  /** The start of its svix-id. */
  readonly q?: string
}

/** A delivery among others. `jobId`: the job that it concerns; `note`: why it was rejected. */
export type ListedDelivery = DeliveryRow & { readonly jobId: string | null; readonly note: string | null }

export type DeliveryPage = PageOf<ListedDelivery>
/** `body`: what is kept of it, which is its start for one that concerns no job; null when it was erased. */
export type DeliveryDetail = ListedDelivery & { readonly body: string | null }

/** The inbox cannot take a write: nothing was acknowledged, though a write under way may still land. */
export class InboxUnavailable extends Error {
  override readonly name = 'InboxUnavailable'
  readonly code: 'full' | 'slow' | 'failed' | 'closed'
  constructor(code: InboxUnavailable['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** An inbox that cannot be used as it is: made by a newer version, damaged, or on a disk that does not keep its data. */
export class DatabaseRefused extends Error {
  override readonly name = 'DatabaseRefused'
}
