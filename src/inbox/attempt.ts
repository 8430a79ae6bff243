import type { CleanReason, Task } from '../job.ts'

/** What is noted about an attempt. */
export type Attempt = AttemptWork & {
  readonly startedAt: number
  readonly ms: number
  readonly task: Task
  readonly outcome: string
  readonly reason: CleanReason | null
  /** The status and type of the record that it saved or found; null when there is none. */
  readonly savedStatus: string | null
  readonly type: string | null
}

/** What an attempt did; null where it is not known, or was nothing of this attempt's. */
export type AttemptWork = {
  /** The round of the job that it belongs to. */
  readonly round: number | null
  /** Answers asked of Reducto; files of the saved result, and its bytes. */
  readonly calls: number | null
  readonly files: number | null
  readonly bytes: number | null
  /** Waiting for Reducto's answers and reading them; downloading and saving; the user's code. ms */
  readonly fetchMs: number | null
  readonly saveMs: number | null
  readonly handOverMs: number | null
}

/** An attempt as it is handed in: what is not said of its work is not known. */
export type NewAttempt = Omit<Attempt, keyof AttemptWork> & Partial<AttemptWork>

/** As it is noted. Times are whole ms. */
export function notedAttempt(attempt: NewAttempt): Attempt {
  const { round = null, calls = null, files = null, bytes = null } = attempt
  const whole = (ms: number | null | undefined) => (ms == null ? null : Math.round(ms))
  return {
    ...attempt,
    ms: Math.round(attempt.ms),
    ...{ round, calls, files, bytes },
    fetchMs: whole(attempt.fetchMs),
    saveMs: whole(attempt.saveMs),
    handOverMs: whole(attempt.handOverMs),
  }
}
