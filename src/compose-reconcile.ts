import type { Clock } from './clock.ts'
import type { Inbox } from './inbox/inbox.ts'
import { exclusivelyAcross } from './reconcile/exclusively.ts'
import { type Reconcile, startReconcile } from './reconcile/reconcile.ts'
import type { Client } from './reducto/client.ts'
import { createFetchJob } from './reducto/fetch-job.ts'
import { createFetchStatus } from './reducto/job-status.ts'
import { createListJobs } from './reducto/list-jobs.ts'
import type { Config } from './settings/config.ts'
import type { EventBus } from './telemetry/events.ts'
import type { Worker } from './worker/worker.ts'

type ReconcileParts = {
  readonly config: Pick<Config, 'reconcileEvery'>
  readonly inbox: Inbox
  readonly clock: Clock
  readonly events: EventBus
  readonly client: Client
  readonly worker: Pick<Worker, 'troubles'>
}

/** Wires what looks after jobs whose webhook does not come, and starts it. It ends with `opening`. */
export function composeReconcile(parts: ReconcileParts, opening: AsyncDisposableStack): Reconcile {
  const { config, inbox, clock, events, client, worker } = parts
  const reconcile = startReconcile({
    ledger: inbox,
    fetchStatus: createFetchStatus(createFetchJob(client, clock.now)),
    listJobs: createListJobs(client, clock.now),
    ...{ clock, events, exclusively: exclusivelyAcross(inbox), every: config.reconcileEvery },
    isRefused: () => worker.troubles.some(({ name }) => name === 'reducto_auth'),
  })
  opening.defer(() => reconcile.stop())
  return reconcile
}
