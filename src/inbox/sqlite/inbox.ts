import type { Clock } from '../../clock.ts'
import type { Stage } from '../../job.ts'
import { registeredBody } from '../expected.ts'
import { createLocalDuties } from '../fleet.ts'
import type { Claim, ClaimId, Inbox, OperatorPause, ServiceState } from '../inbox.ts'
import { placesOf } from '../transitions.ts'
import { createWakeUp } from '../wake-up.ts'
import type { InboxWatch } from '../watch.ts'
import type { Change } from './batch.ts'
import { createBatcher } from './batcher.ts'
import { createCauses } from './causes.ts'
import { createCheckpointer, logBound } from './checkpoint.ts'
import { type Connection, connect } from './connection.ts'
import { freeRoom } from './disk.ts'
import type { PruneCursor } from './prune.ts'
import type { BodiesCursor } from './prune-bodies.ts'
import type { OldestPart, Queries, RequeueablePart } from './queries.ts'
import { forgetBeside, startSearch } from './search.ts'
import type { SearchState } from './search-thread.ts'
import { createSignals } from './signals.ts'
import type { Question } from './thread.ts'

export type SqliteOptions = {
  readonly path: string
  readonly clock: Clock
  /** With fewer free bytes than this on its disk, `lowDisk` reports it. */
  readonly minFree: number
  /**
   * Whether this process is the service. Only the service migrates, recovers jobs that a dead process left running, and
   * moves the log; it must hold the instance lock.
   */
  readonly isService: boolean
  /** How long a write waits for another process's write, ms; default 5 s. */
  readonly busyTimeout?: number
  /** A database thread died: the process cannot continue. */
  readonly onDeath: (error: Error) => void
  /** How the index of search stands, after each change. Only the service has one to keep. */
  readonly onSearch?: (state: SearchState) => void
} & InboxWatch

/** How often the disk, the log and slow accepts are checked, ms. */
const LOOK_EVERY_MS = 1_000
/** How often the log is checked while there are commits, ms: a small disk could be full of it within a second. */
const LOG_LOOK_EVERY_MS = 100
/** Jobs requeued per transaction, and the pause before the next one, ms. */
const REQUEUE_BATCH = 200
const REQUEUE_PAUSE_MS = 10

/** The inbox on SQLite. Changes share transactions: under load many acknowledgements cost one disk sync. */
export async function openSqlite(options: SqliteOptions): Promise<Inbox> {
  const { path, clock, isService, busyTimeout, onDeath } = options
  await using opening = new AsyncDisposableStack()
  const signals = isService ? createSignals() : null
  const connectTo = async (mode: 'write' | 'read' | 'checkpoint'): Promise<Connection> =>
    opening.adopt(await connect({ path, mode, migrate: isService, busyTimeout, signals }, onDeath), (connection) =>
      connection.close(),
    )
  // Closed in reverse order: the writer must be able to move the log into the database.
  const writer = await connectTo('write')
  // The schema exists by now, so the others need not wait for each other. Both have opened, or failed, before one is
  // closed.
  const others = [connectTo('read'), connectTo('checkpoint')] as const
  await Promise.allSettled(others)
  const [reader, mover] = await Promise.all(others)

  let paused = false
  let operatorPause: OperatorPause | null = null
  let commits = 0
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
      commits++
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

  async function service(): Promise<ServiceState> {
    const before = commits
    const state = await ask('service')
    operatorPause = state.pause
    // A commit meanwhile knows better.
    if (commits === before) paused = state.pause !== null
    return state
  }

  function look(): void {
    // The command line pauses from another process, and loops that wait for a slot do not look.
    if (isService) service().catch(() => {})
    batcher.giveUpSlowAccepts()
    // While writes fail, probe: a load balancer that saw the failure sends no traffic that would show the recovery.
    if (batcher.isFailing && batcher.isIdle) change('probe').catch(() => {})
    lookAtLog()
  }
  const looks = setInterval(look, LOOK_EVERY_MS)
  looks.unref()
  opening.defer(async () => {
    clearInterval(looks)
    await batcher.close()
  })

  /** Walked beside the writer: with a million jobs this takes a second, and accepts cannot wait for it. */
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

  const dead = createCauses({
    dead: (from, at) => ask('dead', from, at),
    describe: (groups) => ask('describeCauses', groups),
    atRisk: (found) => ask('atRisk', found),
    fill: (limit) => change('fillCauses', limit),
  })

  const inbox: Omit<Inbox, 'close'> = {
    clock,
    replicas: async () => [],
    exclusively: createLocalDuties(),
    isFailing: () => batcher.isFailing,
    waitingRows: () => batcher.waitingRows,
    accept: (delivery) => change('accept', delivery, clock.now()),
    claim: (stage, slots) => change('claim', stage, slots, clock.now()),
    ready: wakeUp.ready,
    async lost(claims: readonly ClaimId[]) {
      // The instance lock protects claims: a claim can only be lost to an operator who erased or requeued the job.
      const held = await Promise.all(claims.map(({ jobId, task, token }) => change('holds', { jobId, task, token })))
      return claims.filter((_, index) => !held[index])
    },
    settle: (claim, next, attempt, sideFiles) =>
      change('settle', withoutBody(claim), next, attempt, sideFiles, clock.now()),
    settleSideFiles: (claim, next, attempt) =>
      change('settleSideFiles', withoutBody(claim), next, attempt, clock.now()),
    stopAsked: () => change('stopAsked'),
    isPaused: () => paused,
    operatorPause: () => (paused ? operatorPause : null),
    lowDisk: () => freeRoom(path, options.minFree),
    get: (jobId) => ask('get', jobId),
    list: (filter, page) => ask('list', filter, page),
    async oldest(filter) {
      let after: number | null = 0
      while (after !== null) {
        const found: OldestPart = await ask('oldest', filter, after)
        if (found.row) return found.row
        after = found.next
      }
      return null
    },
    idsFrom: (kind, prefix, limit) => ask('idsFrom', kind, prefix, limit),
    bodies: (jobIds) => ask('bodies', jobIds),
    deliveries: (filter, page) => ask('deliveries', filter, page),
    delivery: (svixId) => ask('delivery', svixId),
    expect: (jobId, { metadata, ...said }) =>
      change('expect', jobId, { ...said, body: registeredBody(jobId, metadata) }, clock.now()),
    missed: (jobId, found) => change('missed', jobId, found, clock.now()),
    looked: () => change('looked', clock.now()),
    overdue: (before, limit, after) => ask('overdue', before, limit, after ?? 0),
    reread: (svixId, content, action) => change('reread', svixId, content, clock.now(), action),
    async eraseDelivery(svixId) {
      const isErased = await change('eraseDelivery', svixId)
      if (isErased) await checkpointer.now()
      return isErased
    },
    stats: () => ask('stats'),
    service,
    searchLag: () => ask('searchLag'),
    async requeue(filter, { dryRun = false, refetch = false, part, action } = {}) {
      const seqs = await requeueable(filter)
      if (dryRun) return seqs.length
      const since = clock.now()
      const places = placesOf(seqs.length, part)
      let queued = 0
      for (let first = 0; first < seqs.length; first += REQUEUE_BATCH) {
        const at = { since, first: places.first + first, total: places.total }
        const batch = seqs.slice(first, first + REQUEUE_BATCH)
        queued += await change('requeue', batch, refetch, at, clock.now(), action)
        // A command must leave the service beside it room to write.
        await new Promise((resolve) => setTimeout(resolve, REQUEUE_PAUSE_MS))
      }
      return queued
    },
    async erase(jobId, action) {
      const found = await change('erase', jobId, clock.now(), action)
      if (found !== 'erased') return found
      forget(jobId)
      // Erased data remains in the log until the log is emptied.
      await checkpointer.now()
      return found
    },
    async pause(on, reason) {
      await change('pause', on, reason ?? null, clock.now())
      await service().catch(() => {})
    },
    async prune(before, signal) {
      let rows = 0
      let at: PruneCursor | null = { job: 0, delivery: 0, isFirst: true }
      while (at !== null && !signal?.aborted) {
        const step: { rows: number; next: PruneCursor | null } = await change('prune', before, at, clock.now())
        rows += step.rows
        at = step.next
      }
      search?.tidy()
      return rows
    },
    async pruneBodies(before, signal) {
      let rows = 0
      let at: BodiesCursor | null = { delivery: 0, attempts: 0, registrations: 0 }
      while (at !== null && !signal?.aborted) {
        const step: { rows: number; next: BodiesCursor | null } = await change('pruneBodies', before, at)
        rows += step.rows
        at = step.next
      }
      // What was deleted remains in the log until the log is emptied.
      if (rows > 0) await checkpointer.now()
      return rows
    },
    causes: () => dead.causes(clock.now()),
    atRisk: () => dead.atRisk(clock.now()),
    note: (action) => change('note', action, clock.now()),
    actions: (page) => ask('actions', page),
    count: (minutes) => change('count', minutes),
    minutes: (from, to) => ask('minutes', from, to, clock.now()),
    refusals: (since) => ask('refusals', since, clock.now()),
    linkKey: async () => Buffer.from(await change('linkKey')),
  }

  if (isService) {
    await change('recover', clock.now())
    const closing = new AbortController()
    opening.defer(() => closing.abort())
    dead.startFilling(closing.signal)
  }
  const search =
    signals && startSearch({ path, signals, minFree: options.minFree, onState: options.onSearch ?? (() => {}) })
  opening.defer(async () => search?.close())
  function forget(jobId: string): void {
    if (search) search.forget(jobId)
    else forgetBeside(path, jobId)
  }
  const closing = opening.move()
  return { ...inbox, close: () => closing.disposeAsync() }
}

function stageOfClaim([name, args]: Change): Stage[] {
  return name === 'claim' ? [args[0] as Stage] : []
}

/** The body has been read by now: it need not be sent to the thread and back. */
function withoutBody(claim: Claim): Claim {
  return { ...claim, body: null }
}
