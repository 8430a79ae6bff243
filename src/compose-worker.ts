import { createScanThread } from './answer/scan-thread.ts'
import type { Clock } from './clock.ts'
import { createDownloader } from './download/download.ts'
import type { HandOver } from './handler/hand-over.ts'
import type { Inbox } from './inbox/inbox.ts'
import type { ProxySettings } from './outbound/proxy.ts'
import { metadataOf } from './receive/metadata.ts'
import type { Client } from './reducto/client.ts'
import { createFetchJob } from './reducto/fetch-job.ts'
import { createListJobs } from './reducto/list-jobs.ts'
import { createProbeAccount } from './reducto/probe.ts'
import type { Results } from './results/results.ts'
import type { Config } from './settings/config.ts'
import type { EventBus } from './telemetry/events.ts'
import type { Scrub } from './telemetry/scrub.ts'
import { createJudge } from './worker/judge.ts'
import { type FetchDeps, runFetch } from './worker/run-fetch.ts'
import { runHandOver } from './worker/run-hand-over.ts'
import { runSideFiles } from './worker/run-side-files.ts'
import { createSuspicion } from './worker/suspicion.ts'
import { createWorker, type Worker } from './worker/worker.ts'

type WorkerConfig = Pick<
  Config,
  'allowPrivateHosts' | 'concurrency' | 'fetchRetryFor' | 'handlerRetryFor' | 'maxResultBytes'
>

type WorkerParts = {
  readonly config: WorkerConfig
  readonly inbox: Inbox
  readonly results: Results
  readonly handOver: HandOver | null
  readonly clock: Clock
  readonly events: EventBus
  readonly scrub: Scrub
  readonly proxies: ProxySettings
  readonly client: Client
  readonly opening: AsyncDisposableStack
}

/** Wires the worker. Everything it opens is closed with `opening`; the caller starts it. */
export function composeWorker(parts: WorkerParts): Worker {
  const { config, inbox, results, handOver, clock, events, scrub, client, opening } = parts
  const scanner = createScanThread()
  opening.defer(() => scanner.close())
  const downloader = createDownloader({ allowPrivateHosts: config.allowPrivateHosts, proxies: parts.proxies, clock })
  opening.defer(() => downloader.close())
  const probeAccount = createProbeAccount(client, clock.now)
  const suspicion = createSuspicion({
    listJobs: createListJobs(client, clock.now),
    isOurs: async (jobId) => (await inbox.get(jobId)) !== null,
  })
  const fetching: FetchDeps = {
    fetchJob: createFetchJob(client, clock.now),
    probeAccount,
    download: downloader.download,
    scan: scanner.scan,
    results,
    lost: inbox.lost,
    metadataOf,
    maxBytes: config.maxResultBytes,
    clock,
    scrub,
  }
  return createWorker({
    queue: inbox,
    judge: createJudge({ results, queue: inbox, probeAccount, suspicion, clock, events, scrub }),
    runFetch: (claim, signal) => runFetch(claim, signal, fetching),
    runHandOver: (claim, signal) => runHandOver(claim, signal, { results, handOver, clock }),
    runSideFiles: (claim, signal) => runSideFiles(claim, signal, fetching),
    removeAbandonedDrafts: (signal) =>
      results.removeAbandonedDrafts(async ({ jobId, token }) => {
        const claims = (['fetch', 'side_files'] as const).map((task) => ({ jobId, task, token }))
        return (await inbox.lost(claims)).length === claims.length
      }, signal),
    concurrency: config.concurrency,
    hasHandler: handOver !== null,
    patience: { fetch: config.fetchRetryFor, hand_over: config.handlerRetryFor, side_files: config.fetchRetryFor },
    clock,
    events,
    scrub,
  })
}
