import type { Clock, WorkingClock } from '../../clock.ts'
import type { Moment, Standing } from '../../job.ts'
import {
  type Attempt,
  type Claim,
  type Delivery,
  type Inbox,
  InboxUnavailable,
  type JobDetail,
  type JobPage,
  type Places,
  type Receipt,
  type Stats,
} from '../inbox.ts'
import { connect, DatabaseError } from './connection.ts'
import type { Sweep } from './forget.ts'
import type { Change, Question, Result } from './thread.ts'
import type { NextDue } from './writer.ts'

export type SqliteOptions = {
  readonly path: string
  /** Patience with a job that is queued, ms. */
  readonly retryFor: number
  readonly clock: Clock
  readonly working: WorkingClock
  /** Whether this process may take over what a dead one left running: only for the holder of the instance lock. */
  readonly recover: boolean
  /** The database thread died: the process cannot go on. */
  readonly onDeath: (error: Error) => void
}

/**
 * Rows and bytes that one transaction takes at most; so many rows are worth one while another is under way; so many may
 * be queued with the thread. With 64 connections, two halves take turns: one is committed while the other is answered
 * and comes again. Measured against one transaction at a time: a third more a second.
 */
const BATCH = { rows: 256, bytes: 4 * 1024 * 1024, eager: 32, queued: 4 } as const
/** Rows and bytes that may wait for a transaction. Beyond, the inbox is full. */
const WAITING = { rows: 10_000, bytes: 64 * 1024 * 1024 } as const
/** A delivery that is not durable by then is answered with 503, ms. Svix waits 15 s. */
const ACCEPT_TIMEOUT = 10_000
/** How soon writes of other processes, such as the command line, are seen, ms. */
const TICK = 1_000

/** The working clock's reading is written at least so often, ms. */
const KEEP_TIME = 60_000
/** Jobs that one transaction queues again, and the pause before the next, ms. */
const REQUEUED_AT_ONCE = 200
const BREATHER = 10

/** Changes after which a claim finds nothing new. */
const LOOKING: ReadonlySet<string> = new Set(['claim', 'held', 'working', 'probe'])

type Pending = {
  readonly change: Change
  readonly since: number
  readonly bytes: number
  resolve(value: unknown): void
  reject(error: Error): void
}

/** The inbox on SQLite. Changes share transactions: under load many acknowledgements cost one sync of the disk. */
export async function openSqlite(options: SqliteOptions): Promise<Inbox> {
  const { path, clock, working } = options
  const writer = await connect({ path, mode: 'write', retryFor: options.retryFor }, options.onDeath)
  const reader = await connect({ path, mode: 'read', retryFor: options.retryFor }, options.onDeath).catch(
    async (error) => {
      await writer.close()
      throw error
    },
  )

  let waiting: Pending[] = []
  let waitingBytes = 0
  /** Transactions that the thread has not answered yet. */
  const committing = new Set<readonly Pending[]>()
  let gather: NodeJS.Immediate | undefined
  let idle: () => void = () => {}
  /** The last transaction failed as a whole. */
  let failing = false
  let closed = false
  let dueOf: NextDue = { fetch: null, hand_over: null }
  /** What the last claim had places for. */
  let places: Places = { fetches: 1, handOvers: 1, most: 1 }
  /** When the working clock's reading was last written. */
  let writtenAt = performance.now()
  /** Batches are numbered: what was written in or after the batch of the last claim is news to the worker. */
  let batchNumber = 0
  let lastNews = 0
  let lastClaim = 0
  let lastClaimAt = Number.NEGATIVE_INFINITY
  let wake: () => void = () => {}

  const moment = (): Moment => ({ now: clock.now(), working: working.read() })

  function change<T>(one: Change, bytes = 0): Promise<T> {
    if (closed) return Promise.reject(new InboxUnavailable('closed', 'the inbox is closed'))
    if (waiting.length >= WAITING.rows || waitingBytes + bytes > WAITING.bytes)
      return Promise.reject(new InboxUnavailable('full', 'too many deliveries wait for the disk'))
    return new Promise<T>((resolve, reject) => {
      const since = performance.now()
      waiting.push({ change: one, since, bytes, resolve: resolve as (value: unknown) => void, reject })
      waitingBytes += bytes
      if (waiting.length >= BATCH.eager) dispatch()
      else gather ??= setImmediate(dispatch)
    })
  }

  /**
   * Sends what has gathered: all that arrived in this turn of the event loop when nothing is under way, else what is
   * worth a transaction of its own. So the disk works while this thread takes the next requests in, and a lone request
   * waits for nothing.
   */
  function dispatch(): void {
    clearImmediate(gather)
    gather = undefined
    while (
      waiting.length > 0 &&
      (committing.size === 0 || (waiting.length >= BATCH.eager && committing.size < BATCH.queued))
    ) {
      const batch = nextBatch()
      committing.add(batch)
      void commit(batch).then(() => {
        committing.delete(batch)
        dispatch()
        if (committing.size === 0) idle()
      })
    }
  }

  async function commit(batch: readonly Pending[]): Promise<void> {
    try {
      const reply = await writer.request({ batch: batch.map((pending) => pending.change), working: working.read() })
      if (!('results' in reply)) throw new Error('unexpected reply of the database thread')
      dueOf = reply.nextDue
      followPause(reply.paused)
      batchNumber++
      failing = reply.failed
      for (const [index, pending] of batch.entries()) conclude(pending, reply.results[index]!)
      if (batch.some((pending) => !LOOKING.has(pending.change[0]))) {
        writtenAt = performance.now()
        announce()
      }
    } catch (error) {
      failing = true
      for (const pending of batch) pending.reject(unavailable(error as Error))
    }
  }

  /** One look a second for all, rather than a timer for each: what has waited too long is answered, and may yet land. */
  function giveUpSlowAccepts(): void {
    const longAgo = performance.now() - ACCEPT_TIMEOUT
    for (const pending of [...committing, waiting].flat())
      if (pending.change[0] === 'accept' && pending.since < longAgo)
        pending.reject(new InboxUnavailable('slow', 'the disk has not taken the delivery in time'))
  }
  /**
   * While nothing can be written, tries: nobody may deliver any more who looks at `failing` first. While nothing is written,
   * keeps the working clock's reading, from which commands reckon.
   */
  function look(): void {
    giveUpSlowAccepts()
    if (closed || committing.size > 0) return
    const idle = performance.now() - writtenAt > KEEP_TIME
    if (idle) writtenAt = performance.now()
    if (failing || idle) change(['probe', []]).catch(() => {})
  }
  const looks = setInterval(look, TICK)
  looks.unref()

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

  function conclude(pending: Pending, result: Result): void {
    if ('value' in result) {
      if (pending.change[0] === 'claim') lastClaim = batchNumber
      pending.resolve(result.value)
    } else pending.reject(unavailable(new DatabaseError(result.failure)))
  }

  /** The time of an operator's pause, by whichever process, costs no job patience. */
  function followPause(paused: boolean): void {
    if (paused) working.hold('operator')
    else working.release('operator')
  }

  function announce(): void {
    lastNews = batchNumber
    wake()
  }

  async function ask<T>(question: Question): Promise<T> {
    const reply = await reader.request({ ask: question })
    return ('answer' in reply ? reply.answer : undefined) as T
  }

  function accept(delivery: Delivery): Promise<Receipt> {
    return change<Receipt>(['accept', [delivery, moment()]], delivery.body.length)
  }

  async function claim(wanted: Places): Promise<readonly Claim[]> {
    const at = moment()
    const claims = await change<readonly Claim[]>(['claim', [wanted, at]])
    places = wanted
    // Not before: after a claim that failed, everything is still to be claimed.
    lastClaimAt = at.now
    return claims
  }

  /** When the next job is due that there is a place for. */
  function nextDue(): number | null {
    const wanted = [places.fetches > 0 ? dueOf.fetch : null, places.handOvers > 0 ? dueOf.hand_over : null]
    const times = wanted.filter((time) => time !== null)
    return times.length > 0 ? Math.min(...times) : null
  }

  /** Waits for a commit of this process, the next due time, or a commit of another process. */
  async function ready(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && lastNews < lastClaim && !fallenDue()) {
      const waking = new AbortController()
      wake = () => waking.abort()
      const next = nextDue()
      const untilDue = next === null ? TICK : next - clock.now()
      await clock.sleep(untilDue > 0 ? Math.min(TICK, untilDue) : TICK, AbortSignal.any([signal, waking.signal]))
      wake = () => {}
      if (waking.signal.aborted || signal.aborted) continue
      // A look that fails is none: the next one is a second away.
      const reply = await writer.request({ tick: moment() }).catch(() => null)
      if (reply === null || !('changed' in reply)) continue
      followPause(reply.paused)
      if (reply.changed) announce()
    }
  }

  /** What was due at the last claim and not given out then (paused, say) is no reason to ask again. */
  function fallenDue(): boolean {
    const now = clock.now()
    const next = nextDue()
    return next !== null && next <= now && (next > lastClaimAt || now < lastClaimAt)
  }

  const inbox: Inbox = {
    isFailing: () => failing,
    accept,
    claim,
    ready,
    async extend(claims) {
      // The process lock is the lease; a claim can only be lost to someone who deleted or requeued the job.
      const held = await Promise.all(claims.map(({ jobId, token }) => change<boolean>(['held', [jobId, token]])))
      return claims.filter((_, index) => !held[index])
    },
    settle: (claim: Claim, next: Standing, attempt: Attempt) =>
      change<boolean>(['settle', [claim, next, attempt, moment()]]),
    get: (jobId) => ask<JobDetail | null>(['get', [jobId]]),
    list: (filter, page) => ask<JobPage>(['list', [filter, page]]),
    stats: () => ask<Stats>(['stats', []]),
    async requeue(filter, options = {}) {
      // Looked for beside the writer: with a million jobs that takes a second, and accepts cannot wait for it.
      const jobs = await ask<readonly number[]>(['requeueable', [filter]])
      if (options.dryRun) return jobs.length
      const since = clock.now() + (options.after ?? 0)
      for (let first = 0; first < jobs.length; first += REQUEUED_AT_ONCE) {
        const part = { first, total: jobs.length, since }
        await change(['requeue', [jobs.slice(first, first + REQUEUED_AT_ONCE), options, part, moment()]])
        // A command must leave the service beside it room to write.
        await new Promise((resolve) => setTimeout(resolve, BREATHER))
      }
      return jobs.length
    },
    erase: (jobId) => change(['erase', [jobId, moment()]]),
    pause: (on) => change<void>(['pause', [on]]),
    async forget(before, signal) {
      let rows = 0
      let at: Sweep | null = { job: 0, delivery: 0 }
      while (at !== null && !signal?.aborted) {
        const step: { rows: number; next: Sweep | null } = await change(['forget', [before, at]])
        rows += step.rows
        at = step.next
      }
      return rows
    },
    async close() {
      closed = true
      if (waiting.length > 0 || committing.size > 0) await new Promise<void>((resolve) => (idle = resolve))
      clearInterval(looks)
      // The last to close must be able to write: it puts the log into the database.
      await reader.close()
      await writer.close()
    },
  }

  try {
    working.set(await change<number>(['working', []]))
    if (options.recover) {
      await change(['clampDue', [moment()]])
      await change(['recover', [moment()]])
    }
  } catch (error) {
    await inbox.close()
    throw error
  }
  return inbox
}

function unavailable(cause: Error): InboxUnavailable {
  return new InboxUnavailable('failed', `the inbox cannot write: ${cause.message}`, { cause })
}
