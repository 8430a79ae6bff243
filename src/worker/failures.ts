/** The failures that keep a result incomplete. Each is a class, so that `classify` alone decides what it means. */

/** The result is larger than MAX_RESULT_BYTES. */
export class ResultTooLarge extends Error {
  override readonly name = 'ResultTooLarge'
}

/** Reducto has not finished the job, or says that it has but its answer lacks the result. */
export class ResultUnfinished extends Error {
  override readonly name = 'ResultUnfinished'
  readonly code: 'unfinished' | 'no_result'
  constructor(code: ResultUnfinished['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** A required file could not be downloaded. */
export class ResultMissing extends Error {
  override readonly name = 'ResultMissing'
  readonly code: string
  /** No setting and no later try can help. */
  readonly isFinal: boolean
  /** The host asked for no requests for this long, ms. */
  readonly after: number
  constructor(message: string, options: { code?: string; isFinal?: boolean; after?: number } = {}) {
    super(message)
    this.code = options.code ?? 'result_missing'
    this.isFinal = options.isFinal ?? false
    this.after = options.after ?? 0
  }
}

/** The attempt has received nothing new for too long. */
export class Stalled extends Error {
  override readonly name = 'Stalled'
}

/** The claim was lost while the result was being saved. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}
