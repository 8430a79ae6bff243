import type { JobState, Stage } from '../job.ts'

/** All that is given must match. */
export type JobFilter = {
  readonly state?: JobState
  readonly stage?: Stage
  readonly jobId?: string
  /** One of these. */
  readonly jobIds?: readonly string[]
  /** As recorded, or announced: `Completed`, `Failed`. */
  readonly status?: string
  /** The kind of job, as in its record. */
  readonly type?: string
  /** The endpoint that announced it first. */
  readonly endpoint?: string
  /** The code of its reason. */
  readonly code?: string
  /** Why it is dead, as `causes` has it. */
  readonly cause?: string
  /** The code of its reason, or a part of the message. */
  readonly error?: string
  /** Members of the first delivery's metadata, each as text: a string as it is, anything else as its JSON. */
  readonly metadata?: Readonly<Record<string, string>>
  /**
   * The start of its id or of the svix-id of one of its deliveries; or words, all of which stand in the metadata of its first
   * delivery or, while it is dead or tried again, in its error: see search/query.ts. Longer than `MAX_SEARCH_LENGTH` it finds
   * nothing.
   */
  readonly q?: string
  /** Last activity at this time (ms) or later. */
  readonly since?: number
  /** Last activity at this time (ms) or earlier. */
  readonly until?: number
  /** First heard of at this time (ms) or later. */
  readonly createdSince?: number
}

/** Characters of `q`: more than an id or a sentence has; each word costs a comparison with every word of a candidate. */
export const MAX_SEARCH_LENGTH = 500
