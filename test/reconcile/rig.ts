import { onTestFinished } from 'vitest'
import type { Inbox } from '../../src/inbox/inbox.ts'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { exclusivelyAcross } from '../../src/reconcile/exclusively.ts'
import { type ReconcileDeps, startReconcile } from '../../src/reconcile/reconcile.ts'
import { createClient } from '../../src/reducto/client.ts'
import { createFetchJob } from '../../src/reducto/fetch-job.ts'
import { createFetchStatus, type FetchStatus } from '../../src/reducto/job-status.ts'
import { createListJobs } from '../../src/reducto/list-jobs.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { testReducto } from '../support/service.ts'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

/** An inbox on a manual clock, and a simulated Reducto with what asks it. */
export async function reconcileRig() {
  const reducto = await testReducto()
  const clock = createManualClock()
  const events = createEvents()
  const inbox: Inbox = openMemory({ clock })
  const client = createClient({ apiKey: reducto.apiKey, baseUrl: reducto.url })
  const fetchStatus: FetchStatus = createFetchStatus(createFetchJob(client, clock.now))
  const listJobs = createListJobs(client, clock.now)

  /** A job that was submitted and registered; it is Pending at Reducto unless told. */
  async function submit(id: string, status: 'Pending' | 'Completed' | 'Failed' = 'Pending'): Promise<string> {
    reducto.addJob({ id, status })
    await inbox.expect(id, { by: 'test' })
    return id
  }

  function start(more: Partial<ReconcileDeps> = {}) {
    const reconcile = startReconcile({
      ...{ ledger: inbox, fetchStatus, listJobs, clock, events, exclusively: exclusivelyAcross(inbox) },
      ...{ every: 15 * MINUTE, isRefused: () => false, ...more },
    })
    onTestFinished(() => reconcile.stop())
    return reconcile
  }

  const stateOf = async (jobId: string) => (await inbox.get(jobId))?.state
  return { reducto, clock, events, inbox, fetchStatus, listJobs, submit, start, stateOf }
}
