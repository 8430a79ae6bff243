import type { Clock } from '../../clock.ts'
import type { Stage } from '../../job.ts'
import type { About } from '../fleet.ts'
import type { Claim, ClaimId, Delivery, Inbox, OperatorPause, Receipt } from '../inbox.ts'
import type { InboxWatch } from '../watch.ts'
import { acceptBatch, storableDelivery } from './accept.ts'
import { createBatcher, unavailable } from './batcher.ts'
import { type StartBeats, startBeatThread } from './beats.ts'
import { linkKeyOf, setPause } from './changes.ts'
import { claimJobs } from './claim.ts'
import type { PostgresPlace } from './connect.ts'
import { createDuties } from './duties.ts'
import { CommitUnknown, isOfRow } from './errors.ts'
import type { Transaction } from './lane.ts'
import { createLanes } from './lanes.ts'
import { createLedger } from './ledger.ts'
import { lookAround } from './look.ts'
import { prepareSchema } from './migrate.ts'
import { createNews } from './news.ts'
import { createInHand, type Presence, startPresence } from './presence.ts'
import { createQueries } from './queries.ts'
import { livingReplicas, sourceOf } from './replica.ts'
import { lostOf, type Settlement, settleBatch } from './settle.ts'
import { clampDue, takeOver } from './takeover.ts'
import { createDatabaseClock } from './time.ts'
import type { Effects } from './work.ts'

export type PostgresOptions = {
  readonly place: PostgresPlace
  readonly clock: Clock
  /** Whether this process is the service: it has a number among the replicas, beats, and takes over from the dead. */
  readonly isService: boolean
  readonly about: About
  /** What a dead replica has claimed is lost, and this one was declared dead. */
  readonly onLost: (claims: readonly ClaimId[]) => void
  readonly onWarning: (message: string) => void
  /** A part died that the process needs. */
  readonly onDeath: (error: Error) => void
  /** For tests: `clock` counts, instead of the database's; nothing is heard; beats are sent by hand; no durability. */
  readonly test?: { readonly startBeats: StartBeats; readonly listens?: boolean; readonly insist?: boolean }
} & InboxWatch

/** How often slow accepts, failures and pauses are looked after, ms. */
const LOOK_EVERY_MS = 1_000
/** A delivery that is not durable after this time is answered with 503, ms. Svix waits 15 s. */
const ACCEPT_TIMEOUT_MS = 10_000
/**
 * A database that does not answer is not waited for at the end, ms: less than the shortest stop of the service. By then its
 * worker has settled what it could.
 */
const MAX_CLOSE_MS = 1_500
const PROBE = `INSERT INTO counter (name, source, value) VALUES ('probe', $1, 0) ON CONFLICT (name, source) DO UPDATE SET value = 0`

/** The inbox on PostgreSQL, for any number of replicas. Its tables are the one truth. */
export async function openPostgres(options: PostgresOptions): Promise<Inbox> {
  const { place, isService, test } = options
  await prepareSchema({ ...place, migrate: isService, ...(test?.insist ? { insist: true } : {}) })
  await using opening = new AsyncDisposableStack()
  const lanes = createLanes(place)
  opening.defer(lanes.close)
  const databaseClock = test ? null : createDatabaseClock(options.clock)
  const clock = databaseClock ?? options.clock
  await lanes.control.transaction(async (tx) => {
    const began = clock.monotonic()
    const [row] = await tx.query<{ now: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
    )
    databaseClock?.read(row!.now, clock.monotonic() - began)
  })

  const inHand = createInHand()
  const unknown = new Set<number>()
  let presence: Presence | null = null
  let pause: OperatorPause | null = null
  /** Made at the start of a service, which waits for the database anyway. */
  let linkKey: Buffer | null = null
  let turn = 0
  let isClaimUnknown = false
  /** One look at the pause at a time: behind a connection that hangs they would gather. */
  let isRefreshing = false
  const replica = () => presence?.replica ?? 0
  const at = (lane: 0 | 1 | 2 | 3) => ({ source: sourceOf(replica(), lane), now: clock.now() })
  const queries = createQueries(lanes.ask)
  const duties = createDuties(lanes.control, replica)
  const news = createNews({
    place,
    clock,
    control: lanes.control,
    replica,
    listens: isService && (test?.listens ?? !test),
    onWarning: options.onWarning,
    async look(hasClockGoneBack) {
      const moved = hasClockGoneBack && (await lanes.control.transaction((tx) => clampDue(tx, clock.now())))
      const seen = await lanes.control.transaction((tx) => lookAround(tx, { now: clock.now(), replica: replica() }))
      pause = seen.pause
      return { changed: pause === null && (seen.isDue || moved) }
    },
  })
  opening.defer(news.close)

  let numbered: Promise<void> = Promise.resolve()
  const accepts = createBatcher<Delivery, Receipt>({
    lanes: lanes.accept.length,
    bytesOf: ({ body }) => body.length,
    ...(options.onTransaction ? { onTransaction: options.onTransaction } : {}),
    async run(batch, lane) {
      const one = lanes.accept[lane]!
      // In the order of arrival, also over two lanes: while one commits, the other one records.
      const before = numbered
      const mine = Promise.withResolvers<void>()
      numbered = mine.promise
      await before
      const accept = (deliveries: readonly Delivery[]) =>
        one
          .transaction((tx) => acceptBatch(tx, deliveries, at(lane as 0 | 1), mine.resolve))
          .finally(() => mine.resolve())
      if (batch.length === 0) {
        mine.resolve()
        await one.transaction((tx) => tx.query(PROBE, [at(lane as 0 | 1).source]))
        return []
      }
      return alone(batch, async (deliveries) => {
        const { receipts, effects } = await accept(deliveries)
        news.committed([], effects)
        return receipts
      })
    },
  })
  const settlements = createBatcher<Settlement, boolean>({
    lanes: 1,
    bytesOf: () => 0,
    ...(options.onTransaction ? { onTransaction: options.onTransaction } : {}),
    run: (batch) =>
      alone(batch, async (some) => {
        const isUnknown = ({ token }: ClaimId) => unknown.has(token)
        const { settled, effects } = await lanes.work
          .transaction((tx) => settleBatch(tx, some, { ...at(2), isUnknown }))
          .catch((error) => {
            if (error instanceof CommitUnknown) for (const { claim } of some) unknown.add(claim.token)
            throw error
          })
        for (const { claim } of some) {
          unknown.delete(claim.token)
          inHand.leave(claim)
        }
        news.committed([], effects)
        return settled
      }),
  })

  async function claim(stage: Stage, slots: Parameters<Inbox['claim']>[1]): Promise<readonly Claim[]> {
    if (isClaimUnknown) await releaseUnknown()
    const mark = news.claimBegins(stage, clock.now())
    try {
      const claimed = await lanes.work.transaction((tx) =>
        claimJobs(tx, stage, slots, { replica: replica(), ...at(2), turn, claimedAt: mark.claimedAt }),
      )
      turn += claimed.claims.length
      inHand.take(claimed.claims)
      if (!claimed.isPaused) pause = null
      mark.ends(claimed.nextDue)
      return claimed.claims
    } catch (error) {
      isClaimUnknown ||= error instanceof CommitUnknown
      mark.fails()
      throw unavailable(error as Error)
    }
  }

  /** The answer to a claim was lost: what it took, nobody works on. */
  async function releaseUnknown(): Promise<void> {
    // What is in hand is read when it is this lane's turn: a claim of the other stage may be before it.
    const release = (tx: Transaction) =>
      takeOver(tx, { of: 'unknown', replica: replica(), known: inHand.tokens }, at(2))
    const { effects } = await change(release, lanes.work)
    isClaimUnknown = false
    news.committed([], effects)
  }

  function change<T>(run: (tx: Transaction) => Promise<T>, lane = lanes.control): Promise<T> {
    return lane.transaction(run).catch((error) => {
      throw unavailable(error)
    })
  }

  async function changing<T>(run: (tx: Transaction) => Promise<{ value: T; effects: Effects }>): Promise<T> {
    const { value, effects } = await change(run)
    news.committed([], effects)
    return value
  }

  function look(): void {
    accepts.giveUpOlderThan(ACCEPT_TIMEOUT_MS)
    // While writes fail, probe: a load balancer that saw the failure sends no traffic that would show the recovery.
    if (accepts.isFailing) accepts.probe()
    presence?.look()
    if (isService && !isRefreshing)
      void refreshPause()
        .catch(() => {})
        .finally(() => {
          isRefreshing = false
        })
  }

  async function refreshPause(): Promise<void> {
    isRefreshing = true
    pause = (await queries.service()).pause
  }

  if (isService) {
    presence = await startPresence({
      ...{ place, control: lanes.control, about: options.about, clock: databaseClock },
      ...{ now: clock.now, monotonic: clock.monotonic, startBeats: test?.startBeats ?? startBeatThread },
      duties: () => duties,
      onLost: () => options.onLost(inHand.drop()),
      onEffects: (effects) => news.committed([], effects),
      onDeath: options.onDeath,
    })
    opening.defer(() => presence!.close())
    await presence.recover()
    await lanes.control.transaction((tx) => clampDue(tx, clock.now()))
    await refreshPause()
    isRefreshing = false
    linkKey = await lanes.control.transaction(linkKeyOf)
  }
  const looks = setInterval(look, LOOK_EVERY_MS)
  looks.unref()
  opening.defer(async () => {
    clearInterval(looks)
    duties.abort(new Error('the inbox is closed'))
    await Promise.all([accepts.close(), settlements.close()])
  })

  const inbox: Omit<Inbox, 'close'> = {
    clock,
    isFailing: () => accepts.isFailing,
    waitingRows: () => accepts.waitingRows + settlements.waitingRows,
    accept: (delivery) => accepts.add(storableDelivery(delivery)),
    claim,
    ready: news.ready,
    lost: (claims) => (claims.length === 0 ? Promise.resolve([]) : change((tx) => lostOf(tx, claims), lanes.ask)),
    settle: (one, next, attempt, sideFiles) => settlements.add({ claim: one, next, attempt, sideFiles }),
    settleSideFiles: (one, nextSideFiles, attempt) => settlements.add({ claim: one, nextSideFiles, attempt }),
    stopAsked: async () => presence?.stopAsked(),
    isPaused: () => pause !== null,
    operatorPause: () => pause,
    lowDisk: async () => null,
    ...createLedger({
      queries,
      change,
      changing,
      clock,
      at: () => at(3),
      ...(options.onRead ? { onRead: options.onRead } : {}),
    }),
    linkKey: async () => linkKey ?? (await change(linkKeyOf)),
    async pause(on, reason) {
      pause = await change((tx) => setPause(tx, on, reason ?? null, clock.now()))
      news.committed([], EVERYTHING)
    },
    replicas: () => livingReplicas(lanes.ask),
    exclusively: duties.run,
  }
  const closing = opening.move()
  return {
    ...inbox,
    async close() {
      const timer = setTimeout(lanes.giveUp, MAX_CLOSE_MS)
      await closing.disposeAsync().finally(() => clearTimeout(timer))
    },
  }
}

const EVERYTHING: Effects = { queued: { fetch: true, hand_over: true }, dueAt: { fetch: null, hand_over: null } }

/** Runs a batch; when a row is at fault, each of it alone, so that only that one fails. */
async function alone<In, Out>(
  batch: readonly In[],
  run: (some: readonly In[]) => Promise<readonly Out[]>,
): Promise<(Out | Error)[]> {
  try {
    return [...(await run(batch))]
  } catch (error) {
    if (!isOfRow(error) || batch.length === 1) throw error
    const results: (Out | Error)[] = []
    for (const one of batch)
      results.push(
        await run([one]).then(
          ([result]) => result!,
          (cause: Error) => cause,
        ),
      )
    return results
  }
}
