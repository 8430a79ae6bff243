import type { Clock } from '../clock.ts'
import type { Reason } from '../job.ts'
import type { Trouble } from '../telemetry/degradations.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import type { AttemptResult } from './attempt.ts'

/** After this many consecutive handler failures across jobs, the handler is reported as failing. */
const HANDLER_FAILURES = 5
/** A host that was refused for this many different jobs is not one document's problem. */
const BLOCKED_JOBS = 3
/** A refusal that no job has met again for this long is over, ms. */
const BLOCKED_FOR_MS = 3_600_000
/** Maximum number of remembered hosts: links come from outside. */
const MAX_BLOCKED_HOSTS = 100
/** Reducto is reported as failing when it has returned only errors, or no answer, for this long, ms. */
const REDUCTO_SILENT_MS = 120_000
/** A failure is forgotten when no call has failed for this long: there may be nothing to ask, ms. */
const REDUCTO_FAILED_FOR_MS = 3_600_000

/** Hosts that downloads were refused for, and hosts that served a file. */
export type HostsSeen = Pick<AttemptResult, 'blockedHosts' | 'reachedHosts'>

/**
 * What attempts reveal about shared dependencies without causing a pause: the handler, storage hosts, Reducto's
 * answers.
 */
export type Troubles = {
  hosts(jobId: string, seen: HostsSeen): void
  /** The handler answered; `failed`: why it must be called again. */
  handler(failed: Reason | null): void
  /** Reducto answered a call, or failed to; `failed` says how. */
  reducto(failed: Reason | null): void
  readonly current: readonly Trouble[]
}

export function createTroubles({ clock, scrub }: { readonly clock: Clock; readonly scrub: Scrub }): Troubles {
  const blocked = new Map<string, { readonly jobs: Set<string>; readonly at: number }>()
  let handlerFailures = 0
  let handlerReason = ''
  let silence: { readonly since: number; readonly at: number; readonly reason: Reason } | null = null

  function blockedHosts(): string[] {
    const since = clock.monotonic() - BLOCKED_FOR_MS
    return [...blocked].filter(([, { jobs, at }]) => jobs.size >= BLOCKED_JOBS && at >= since).map(([host]) => host)
  }

  function* look(): Iterable<{ name: Trouble['name']; message: string }> {
    if (
      silence &&
      silence.at - silence.since >= REDUCTO_SILENT_MS &&
      clock.monotonic() - silence.at < REDUCTO_FAILED_FOR_MS
    )
      yield {
        name: 'reducto',
        message: `Reducto does not answer, or answers with errors; the last: ${silence.reason.message}. Jobs are retried until it does; see status.reducto.ai`,
      }
    if (handlerFailures >= HANDLER_FAILURES)
      yield {
        name: 'handler',
        message: `the last ${handlerFailures} calls of the handler failed; the last: ${handlerReason}. Results are saved; each job is handed over again`,
      }
    const [host, ...others] = blockedHosts()
    if (host !== undefined)
      yield {
        name: 'downloads',
        message: `several jobs have links to ${host}${others.length > 0 ? ` and ${others.length} other hosts` : ''}, which is not on a public address: if it is yours, add it to DOWNLOAD_ALLOW_PRIVATE_HOSTS`,
      }
  }

  return {
    /**
     * A host stays in doubt while jobs meet its refusal: until it serves a file, or no job has met the refusal for
     * long.
     */
    hosts(jobId, { blockedHosts: refused, reachedHosts }) {
      for (const host of reachedHosts) blocked.delete(host)
      for (const host of refused) {
        const jobs = blocked.get(host)?.jobs ?? new Set()
        if (jobs.size < BLOCKED_JOBS) jobs.add(jobId)
        blocked.delete(host)
        blocked.set(host, { jobs, at: clock.monotonic() })
      }
      // The map's first entry is the one that was met longest ago.
      for (const host of blocked.keys()) if (blocked.size > MAX_BLOCKED_HOSTS) blocked.delete(host)
    },
    handler(failed) {
      handlerFailures = failed ? handlerFailures + 1 : 0
      handlerReason = failed?.message ?? ''
    },
    reducto(failed) {
      const at = clock.monotonic()
      silence = failed ? { since: silence?.since ?? at, at, reason: failed } : null
    },
    get current() {
      return [...look()].map(({ name, message }) => ({ name, message: scrub(message) }))
    },
  }
}
