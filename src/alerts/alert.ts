import type { CleanReason } from '../job.ts'
import type { Degraded } from '../telemetry/events.ts'
import type { CleanText } from '../telemetry/scrub.ts'

/**
 * What is posted to ALERT_URL. `type` says what happened, `data` to what. Types and members are only ever added.
 * Ids, reasons and numbers; never a payload, metadata or a secret.
 */
export type Alert =
  | {
      /** Jobs could not be finished, and a person should look. Those of one cause are told together. */
      readonly type: 'jobs.dead'
      readonly data: {
        readonly code: string
        /** Of the first one. */
        readonly message: CleanText
        readonly count: number
        /** The first ones, at most `MAX_NAMED_JOBS`. */
        readonly job_ids: readonly string[]
      }
    }
  | {
      /** A problem behind the inbox has begun: deliveries are accepted, and jobs wait. */
      readonly type: 'degraded'
      readonly data: { readonly name: Degraded; readonly message: CleanText; readonly since: string }
    }
  | {
      /** The problem is over. */
      readonly type: 'recovered'
      readonly data: { readonly name: Degraded; readonly seconds: number }
    }
  | {
      /** Deliveries cannot be recorded: each is answered with 503, and Svix keeps it and tries again. */
      readonly type: 'not_accepting' | 'accepting'
      readonly data: Readonly<Record<never, never>>
    }

/** Jobs that one alert names. */
const MAX_NAMED_JOBS = 20

/** Dead jobs of one cause, together. */
export type DeadGroup = { readonly reason: CleanReason; readonly jobIds: readonly string[]; readonly count: number }

export function deadAlert({ reason, jobIds, count }: DeadGroup): Alert {
  return { type: 'jobs.dead', data: { code: reason.code, message: reason.message, count, job_ids: jobIds } }
}

/** The group with one job more. */
export function withJob(group: DeadGroup | undefined, jobId: string, reason: CleanReason): DeadGroup {
  if (group === undefined) return { reason, jobIds: [jobId], count: 1 }
  const jobIds = group.jobIds.length < MAX_NAMED_JOBS ? [...group.jobIds, jobId] : group.jobIds
  return { reason: group.reason, jobIds, count: group.count + 1 }
}
