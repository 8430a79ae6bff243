import type { Clock } from '../../clock.ts'
import type { Stage } from '../../job.ts'
import type { Claim, ClaimId, Inbox, InboxWatch } from '../inbox.ts'
import { createWakeUp } from '../wake-up.ts'
import type { Change } from './batch.ts'
import { createBatcher } from './batcher.ts'
import { createCheckpointer, logBound } from './checkpoint.ts'
import { type Connection, connect } from './connection.ts'
import { freeRoom } from './disk.ts'
import type { PruneCursor } from './prune.ts'
import type { Queries, RequeueablePart } from './queries.ts'
import type { Question } from './thread.ts'

export type SqliteOptions = {
  readonly path: string
  readonly clock: Clock
  /** Below so many free bytes on its disk `lowDisk` says so. */
  readonly minFree: number
  /**
   * Whether this process is the service, which alone migrates, takes over what a dead one left running, and moves the log:
   * only for the holder of the instance lock.
   */
  readonly isService: boolean
  /** How long a write waits for another process's write, ms; 5 s when it is not given. */
  readonly busyTimeout?: number
  /** A database thread died: the process cannot go on. */
  readonly onDeath: (error: Error) => void
} & InboxWatch

/** How often the disk, the log and slow accepts are looked at, ms. */
const LOOK_EVERY_MS = 1_000
/** How often the log is looked at while there are commits, ms: a small disk could be full of it within a second. */
const LOG_LOOK_EVERY_MS = 100
/** Jobs that one transaction queues again, and the pause before the next, ms. */
const REQUEUE_BATCH = 200
const REQUEUE_PAUSE_MS = 10

/** The inbox on SQLite. Changes share transactions: under load many acknowledgements cost one sync of the disk. */
export async function openSqlite(options: SqliteOptions): Promise<Inbox> {
  const { path, clock, isService, busyTimeout, onDeath } = options
  await using opening = new AsyncDisposableStack()
  const connectTo = async (mode: 'write' | 'read' | 'checkpoint'): Promise<Connection> =>
    opening.adopt(await connect({ path, mode, migrate: isService, busyTimeout }, onDeath), (connection) =>
      connection.close(),
    )
  // Closed the last first: the writer must be able to put the log into the database.
  const writer = await connectTo('write')
  // The schema is there by now: the others need not wait for each other. Both have opened, or failed, before one is closed.
  const others = [connectTo('read'), connectTo('checkpoint')] as const
  await Promise.allSettled(others)
  const [reader, mover] = await Promise.all(others)

  let paused = false
  const wakeUp = createWakeUp({
    clock,
    async look() {
      const seen = await writer.request({ tick: clock.now() })
      paused = seen.paused
      return seen
    },
  })
  const batcher = createBatcher({
    commit: (batch) => writer.request({ batch }),
    ...(options.onTransaction ? { onTransaction: options.onTransaction } : {}),
    onCommitted(batch, committed) {
      paused = committed.paused
      // A claim in a transaction that failed has seen nothing.
      wakeUp.committed(committed.failed ? [] : batch.flatMap(stageOfClaim), committed.queued, committed.nextDue)
      lookAtLog()
    },
  })
  const { change } = batcher
  const checkpointer = createCheckpointer({
    path,
    bound: await logBound(path),
    bulk: () => mover.request({ checkpoint: 'passive' }),
    rest: () => writer.request({ checkpoint: 'truncate' }),
  })

  let logLookedAt = 0
  function lookAtLog(): void {
    if (!isService || performance.now() - logLookedAt < LOG_LOOK_EVERY_MS) return
    logLookedAt = performance.now()
    void checkpointer.look()
  }

  async function ask<K extends keyof Queries>(name: K, ...args: Parameters<Queries[K]>) {
    const question = [name, args] as unknown as Question
    const began = performance.now()
    const { answer } = await reader.request({ ask: question })
    options.onRead?.(name, performance.now() - began)
    return answer as ReturnType<Queries[K]>
  }

  function look(): void {
    batcher.giveUpSlowAccepts()
    // While writes fail, probe: a load balancer that saw the failure sends no traffic that would tell.
    if (batcher.isFailing && batcher.isIdle) change('probe').catch(() => {})
    lookAtLog()
  }
  const looks = setInterval(look, LOOK_EVERY_MS)
  looks.unref()
  opening.defer(async () => {
    clearInterval(looks)
    await batcher.close()
  })

  /** Walked beside the writer: with a million jobs that takes a second, and accepts cannot wait for it. */
  async function requeueable(filter: Parameters<Inbox['requeue']>[0]): Promise<readonly number[]> {
    const seqs: number[] = []
    let before: number | null = null
    do {
      const part: RequeueablePart = await ask('requeueable', filter, before)
      seqs.push(...part.seqs)
      before = part.next
    } while (before !== null)
    return seqs.reverse()
  }

  const inbox: Omit<Inbox, 'close'> = {
    isFailing: () => batcher.isFailing,
    waitingRows: () => batcher.waitingRows,
    accept: (delivery) => change('accept', delivery, clock.now()),
    claim: (stage, places) => change('claim', stage, places, clock.now()),
    ready: wakeUp.ready,
    async lost(claims: readonly ClaimId[]) {
      // The process lock is the lease: a claim can only be lost to someone who erased or requeued the job.
      const held = await Promise.all(claims.map(({ jobId, task, token }) => change('holds', { jobId, task, token })))
      return claims.filter((_, index) => !held[index])
    },
    settle: (claim, next, attempt, sideFiles) =>
      change('settle', withoutBody(claim), next, attempt, sideFiles, clock.now()),
    settleSideFiles: (claim, next, attempt) =>
      change('settleSideFiles', withoutBody(claim), next, attempt, clock.now()),
    stopAsked: () => change('stopAsked'),
    isPaused: () => paused,
    lowDisk: () => freeRoom(path, options.minFree),
    get: (jobId) => ask('get', jobId),
    list: (filter, page) => ask('list', filter, page),
    stats: () => ask('stats'),
    async requeue(filter, options = {}) {
      const seqs = await requeueable(filter)
      if (options.dryRun) return seqs.length
      const since = clock.now() + (options.after ?? 0)
      let queued = 0
      for (let first = 0; first < seqs.length; first += REQUEUE_BATCH) {
        const part = { first, total: seqs.length, since }
        queued += await change('requeue', seqs.slice(first, first + REQUEUE_BATCH), options, part, clock.now())
        // A command must leave the service beside it room to write.
        await new Promise((resolve) => setTimeout(resolve, REQUEUE_PAUSE_MS))
      }
      return queued
    },
    async erase(jobId) {
      const found = await change('erase', jobId, clock.now())
      // What was erased stands in the log until that is emptied.
      if (found === 'erased') await checkpointer.now()
      return found
    },
    pause: (on) => change('pause', on),
    async prune(before, signal) {
      let rows = 0
      let at: PruneCursor | null = { job: 0, delivery: 0 }
      while (at !== null && !signal?.aborted) {
        const step: { rows: number; next: PruneCursor | null } = await change('prune', before, at)
        rows += step.rows
        at = step.next
      }
      return rows
    },
    linkKey: async () => Buffer.from(await change('linkKey')),
  }

  if (isService) await change('recover', clock.now())
  const closing = opening.move()
  return { ...inbox, close: () => closing.disposeAsync() }
}

function stageOfClaim([name, args]: Change): Stage[] {
  return name === 'claim' ? [args[0] as Stage] : []
}

/** The body has been read by then: it need not go to the thread and back. */
function withoutBody(claim: Claim): Claim {
  return { ...claim, body: null }
}
