import { InboxUnavailable } from '../inbox.ts'
import type { InboxWatch } from '../watch.ts'
import type { Change, ChangeResult, Changes, Committed } from './batch.ts'
import { DatabaseError } from './connection.ts'

/**
 * Combines changes into transactions: an acknowledgement costs one disk sync, and a sync costs the same for many changes.
 *
 * - Idle: the first change waits for the end of this turn of the event loop, so that changes that arrive together are
 *   committed together. There is no timer, so that a single request does not wait.
 * - Committing: changes accumulate. From `eager` rows on they get a transaction of their own, which the thread starts
 *   after the current one: half of the connections is answered while the disk works for the other half.
 * - Full: at most WAITING may accumulate; further senders must retry later.
 */

/**
 * Limits of a batch. `eager`: rows that justify another transaction while one is in flight; `inFlight`: transactions at
 * once.
 */
const BATCH = { rows: 256, bytes: 4 * 1024 * 1024, eager: 32, inFlight: 4 } as const
/** Maximum rows and bytes that wait for a transaction. */
const WAITING = { rows: 10_000, bytes: 64 * 1024 * 1024 } as const
/** A delivery that is not durable after this time is answered with 503, ms. Svix waits 15 s. */
export const ACCEPT_TIMEOUT_MS = 10_000

type Pending = {
  readonly change: Change
  readonly since: number
  readonly bytes: number
  resolve(value: unknown): void
  reject(error: Error): void
}

export type Batcher = {
  /** Makes a change. Resolves when it is durable. @throws InboxUnavailable */
  change<K extends keyof Changes>(name: K, ...args: Parameters<Changes[K]>): Promise<ReturnType<Changes[K]>>
  /** Rejects the accepts that have waited too long. They may still be committed. */
  giveUpSlowAccepts(): void
  /** The last transaction failed as a whole. */
  readonly isFailing: boolean
  readonly isIdle: boolean
  /** Changes that wait for a transaction. */
  readonly waitingRows: number
  /** Accepts no more changes, and resolves when the last ones have been committed. */
  close(): Promise<void>
}

export function createBatcher(options: {
  /** Runs one transaction. Rejects when its result is unknown. */
  readonly commit: (batch: readonly Change[]) => Promise<Committed>
  readonly onCommitted: (batch: readonly Change[], committed: Committed) => void
  readonly onTransaction?: InboxWatch['onTransaction']
  /** A clock that never jumps, ms. */
  readonly monotonic?: () => number
}): Batcher {
  const monotonic = options.monotonic ?? (() => performance.now())
  let waiting: Pending[] = []
  let waitingBytes = 0
  /** Transactions that the thread has not answered yet. */
  const committing = new Set<readonly Pending[]>()
  let scheduled: NodeJS.Immediate | undefined
  let drained = Promise.withResolvers<void>()
  let failing = false
  let closed = false

  function change<K extends keyof Changes>(name: K, ...args: Parameters<Changes[K]>) {
    return new Promise<ReturnType<Changes[K]>>((resolve, reject) => {
      const one = [name, args] as unknown as Change
      const bytes = one[0] === 'accept' ? one[1][0].body.length : 0
      if (closed) return reject(new InboxUnavailable('closed', 'the inbox is closed'))
      if (waiting.length >= WAITING.rows || waitingBytes + bytes > WAITING.bytes)
        return reject(new InboxUnavailable('full', 'too many deliveries wait for the disk'))
      const since = monotonic()
      waiting.push({ change: one, since, bytes, resolve: resolve as (value: unknown) => void, reject })
      waitingBytes += bytes
      if (waiting.length >= BATCH.eager) dispatch()
      else scheduled ??= setImmediate(dispatch)
    })
  }

  function dispatch(): void {
    clearImmediate(scheduled)
    scheduled = undefined
    while (
      waiting.length > 0 &&
      (committing.size === 0 || (waiting.length >= BATCH.eager && committing.size < BATCH.inFlight))
    ) {
      const batch = nextBatch()
      committing.add(batch)
      void commit(batch).then(() => {
        committing.delete(batch)
        dispatch()
        if (committing.size === 0) drained.resolve()
      })
    }
  }

  function nextBatch(): Pending[] {
    let bytes = 0
    let rows = 0
    while (rows < waiting.length && rows < BATCH.rows && (rows === 0 || bytes + waiting[rows]!.bytes <= BATCH.bytes)) {
      bytes += waiting[rows]!.bytes
      rows++
    }
    waitingBytes -= bytes
    const batch = waiting.slice(0, rows)
    waiting = waiting.slice(rows)
    return batch
  }

  async function commit(batch: readonly Pending[]): Promise<void> {
    const changes = batch.map((pending) => pending.change)
    const began = monotonic()
    const ended = () => {
      options.onTransaction?.({ rows: batch.length, ms: monotonic() - began, failed: failing })
    }
    try {
      const committed = await options.commit(changes)
      failing = committed.failed
      ended()
      options.onCommitted(changes, committed)
      for (const [index, pending] of batch.entries()) resolvePending(pending, committed.results[index]!)
    } catch (error) {
      failing = true
      ended()
      for (const pending of batch) pending.reject(unavailable(error as Error))
    }
  }

  return {
    change,
    /** One check of all, rather than a timer for each. */
    giveUpSlowAccepts() {
      const longAgo = monotonic() - ACCEPT_TIMEOUT_MS
      for (const pending of [...committing, waiting].flat())
        if (pending.change[0] === 'accept' && pending.since < longAgo)
          pending.reject(new InboxUnavailable('slow', 'the disk did not store the delivery in time'))
    },
    get isFailing() {
      return failing
    },
    get waitingRows() {
      return waiting.length
    },
    get isIdle() {
      return committing.size === 0 && waiting.length === 0
    },
    async close() {
      closed = true
      if (waiting.length === 0 && committing.size === 0) return
      drained = Promise.withResolvers()
      await drained.promise
    },
  }
}

function resolvePending(pending: Pending, result: ChangeResult): void {
  if ('value' in result) pending.resolve(result.value)
  else pending.reject(unavailable(new DatabaseError(result.failure)))
}

function unavailable(cause: Error): InboxUnavailable {
  return new InboxUnavailable('failed', `the inbox cannot write: ${cause.message}`, { cause })
}
