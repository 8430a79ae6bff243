import { InboxUnavailable } from '../inbox.ts'
import type { InboxWatch } from '../watch.ts'

/**
 * Combines changes into transactions: an acknowledgement costs one sync of the server, and a sync costs the same for many.
 * Idle lanes begin at the end of this turn of the event loop, without a timer; while all are busy, changes gather.
 */

/** Rows and bytes of one transaction. */
const MAX_BATCH_ROWS = 256
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** Rows that justify another transaction while one is under way. */
const EAGER_ROWS = 32
/** Rows and bytes that may wait. */
const MAX_WAITING_ROWS = 10_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024

type Pending<In, Out> = {
  readonly value: In
  readonly since: number
  readonly bytes: number
  resolve(value: Out): void
  reject(error: Error): void
}

export type Batcher<In, Out> = {
  /** Resolves when the change is durable. @throws InboxUnavailable */
  add(value: In): Promise<Out>
  /** Rejects what has waited longer than `ms`. It may still be committed. */
  giveUpOlderThan(ms: number): void
  /** Runs an empty transaction, when none is under way: whether it fails tells `isFailing`. */
  probe(): void
  /** The last transaction failed as a whole. */
  readonly isFailing: boolean
  readonly waitingRows: number
  /** Accepts no more, and resolves when the last ones have ended. */
  close(): Promise<void>
}

export function createBatcher<In, Out>(options: {
  /** How many transactions there are at once. */
  readonly lanes: number
  /** Runs one transaction on a lane; rejects when all of it failed. */
  readonly run: (batch: readonly In[], lane: number) => Promise<readonly (Out | Error)[]>
  readonly bytesOf: (value: In) => number
  readonly onTransaction?: InboxWatch['onTransaction']
}): Batcher<In, Out> {
  const free = Array.from({ length: options.lanes }, (_, lane) => lane)
  let waiting: Pending<In, Out>[] = []
  let waitingBytes = 0
  const running = new Set<readonly Pending<In, Out>[]>()
  let scheduled: NodeJS.Immediate | undefined
  let drained = Promise.withResolvers<void>()
  let failing = false
  let closed = false

  function add(value: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      const bytes = options.bytesOf(value)
      if (closed) return reject(new InboxUnavailable('closed', 'the inbox is closed'))
      if (waiting.length >= MAX_WAITING_ROWS || waitingBytes + bytes > MAX_WAITING_BYTES)
        return reject(new InboxUnavailable('full', 'too many deliveries wait for the database'))
      waiting.push({ value, since: performance.now(), bytes, resolve, reject })
      waitingBytes += bytes
      if (waiting.length >= EAGER_ROWS) dispatch()
      else scheduled ??= setImmediate(dispatch)
    })
  }

  function start(batch: readonly Pending<In, Out>[]): void {
    const lane = free.shift()!
    running.add(batch)
    void run(batch, lane).then(() => {
      running.delete(batch)
      free.push(lane)
      dispatch()
      if (running.size === 0) drained.resolve()
    })
  }

  function dispatch(): void {
    clearImmediate(scheduled)
    scheduled = undefined
    while (free.length > 0 && waiting.length > 0 && (running.size === 0 || waiting.length >= EAGER_ROWS))
      start(nextBatch())
  }

  function nextBatch(): Pending<In, Out>[] {
    let bytes = 0
    let rows = 0
    while (
      rows < waiting.length &&
      rows < MAX_BATCH_ROWS &&
      (rows === 0 || bytes + waiting[rows]!.bytes <= MAX_BATCH_BYTES)
    ) {
      bytes += waiting[rows]!.bytes
      rows++
    }
    waitingBytes -= bytes
    const batch = waiting.slice(0, rows)
    waiting = waiting.slice(rows)
    return batch
  }

  async function run(batch: readonly Pending<In, Out>[], lane: number): Promise<void> {
    const began = performance.now()
    const results = await options
      .run(
        batch.map(({ value }) => value),
        lane,
      )
      .catch((error: Error) => error)
    failing = results instanceof Error
    options.onTransaction?.({ rows: batch.length, ms: performance.now() - began, failed: failing })
    for (const [index, pending] of batch.entries()) {
      const result = results instanceof Error ? results : results[index]!
      if (result instanceof Error) pending.reject(unavailable(result))
      else pending.resolve(result)
    }
  }

  return {
    add,
    giveUpOlderThan(ms) {
      const longAgo = performance.now() - ms
      for (const pending of [...running, waiting].flat())
        if (pending.since < longAgo)
          pending.reject(new InboxUnavailable('slow', 'the database did not store the delivery in time'))
    },
    probe() {
      if (running.size === 0 && waiting.length === 0 && !closed) start([])
    },
    get isFailing() {
      return failing
    },
    get waitingRows() {
      return waiting.length
    },
    async close() {
      closed = true
      if (waiting.length === 0 && running.size === 0) return
      drained = Promise.withResolvers()
      await drained.promise
    },
  }
}

/** What the port says of a change that could not be made. */
export function unavailable(cause: Error): InboxUnavailable {
  if (cause instanceof InboxUnavailable) return cause
  return new InboxUnavailable('failed', `the inbox cannot write: ${cause.message}`, { cause })
}
