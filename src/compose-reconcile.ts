import type { Clock } from './clock.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { Exclusively } from './reconcile/exclusively.ts'
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
    ...{ clock, events, exclusively: across(inbox), every: config.reconcileEvery },
    isRefused: () => worker.troubles.some(({ name }) => name === 'reducto_auth'),
  })
  opening.defer(() => reconcile.stop())
  return reconcile
}

/** Services that share an inbox share the looks, too: one of them asks Reducto at a time. */
function across(inbox: Pick<Inbox, 'exclusively'>): Exclusively {
  return async (name, work) => {
    const done: Awaited<ReturnType<typeof work>>[] = []
    await inbox.exclusively(name, async () => void done.push(await work()))
    return done.length > 0 ? done[0]! : null
  }
}
