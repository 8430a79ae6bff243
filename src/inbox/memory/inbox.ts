import type { Clock } from '../../clock.ts'
import type { Stage } from '../../job.ts'
import { createLocalDuties } from '../fleet.ts'
import { type Inbox, InboxUnavailable } from '../inbox.ts'
import { createWakeUp } from '../wake-up.ts'
import { type Changes, createChanges } from './changes.ts'
import { createMemory, type Memory } from './memory.ts'
import { createQueries } from './queries.ts'

/**
 * The inbox in memory, which makes tests fast. It keeps every promise of the port except durability: its contents end
 * with the process. Every change is synchronous, so that nothing runs between its parts.
 */
export function openMemory({ clock, memory = createMemory() }: { clock: Clock; memory?: Memory }): Inbox {
  let isClosed = false
  let queued: Record<Stage, boolean> = { fetch: false, hand_over: false }
  const changes = createChanges(memory, (stage) => {
    queued[stage] = true
  })
  const queries = createQueries(memory)
  const wakeUp = createWakeUp({
    clock,
    look: async () => ({ changed: changes.clampDue(clock.now()) }),
  })

  /** Makes a change and wakes the stages that it concerns. */
  async function change<T>(run: (changes: Changes) => T, claimed: readonly Stage[] = []): Promise<T> {
    ensureOpen()
    queued = { fetch: false, hand_over: false }
    const result = run(changes)
    wakeUp.committed(claimed, queued, changes.nextDue)
    return result
  }

  async function ask<T>(run: () => T): Promise<T> {
    ensureOpen()
    return run()
  }

  function ensureOpen(): void {
    if (isClosed) throw new InboxUnavailable('closed', 'the inbox is closed')
  }

  changes.recover(clock.now())
  return {
    clock,
    replicas: async () => [],
    exclusively: createLocalDuties(),
    isFailing: () => false,
    waitingRows: () => 0,
    accept: (delivery) => change(({ accept }) => accept(delivery, clock.now())),
    claim: (stage, slots) => change(({ claim }) => claim(stage, slots, clock.now()), [stage]),
    ready: wakeUp.ready,
    lost: (claims) => ask(() => claims.filter((claim) => !changes.holds(claim))),
    settle: (claim, next, attempt, sideFiles) =>
      change(({ settle }) => settle(claim, next, attempt, sideFiles, clock.now())),
    settleSideFiles: (claim, next, attempt) =>
      change(({ settleSideFiles }) => settleSideFiles(claim, next, attempt, clock.now())),
    stopAsked: () => change(({ stopAsked }) => stopAsked()),
    isPaused: () => memory.pause !== null,
    operatorPause: () => memory.pause,
    lowDisk: async () => null,
    get: (jobId) => ask(() => queries.get(jobId)),
    list: (filter, page) => ask(() => queries.list(filter, page)),
    oldest: (filter) => ask(() => queries.oldest(filter)),
    idsFrom: (kind, prefix, limit) => ask(() => queries.idsFrom(kind, prefix, limit)),
    bodies: (jobIds) => ask(() => queries.bodies(jobIds)),
    deliveries: (filter, page) => ask(() => queries.deliveries(filter, page)),
    delivery: (svixId) => ask(() => queries.delivery(svixId)),
    expect: (jobId, registration) => change((changes) => changes.expect(jobId, registration, clock.now())),
    missed: (jobId, found) => change((changes) => changes.missed(jobId, found, clock.now())),
    looked: () => change((changes) => changes.looked(clock.now())),
    overdue: (before, limit, after) => ask(() => queries.overdue(before, limit, after)),
    reread: (svixId, content, action) => change(({ reread }) => reread(svixId, content, clock.now(), action)),
    eraseDelivery: (svixId) => change(({ eraseDelivery }) => eraseDelivery(svixId)),
    stats: () => ask(queries.stats),
    service: () => ask(queries.service),
    searchLag: () => ask(() => 0),
    requeue: (filter, options = {}) =>
      change(({ requeue }) => {
        const entries = queries.requeueable(filter)
        return options.dryRun ? entries.length : requeue(entries, options, clock.now())
      }),
    erase: (jobId, action) => change(({ erase }) => erase(jobId, clock.now(), action)),
    pause: (on, reason) => change(({ pause }) => pause(on, reason ?? null, clock.now())),
    prune: (before) => change(({ prune }) => prune(before, clock.now())),
    pruneBodies: (before) => change(({ pruneBodies }) => pruneBodies(before)),
    causes: () => ask(() => queries.causes(clock.now())),
    atRisk: () => ask(() => queries.atRisk(clock.now())),
    note: (action) => change(({ noteAction }) => noteAction(action, clock.now())),
    actions: (page) => ask(() => queries.actions(page)),
    count: (minutes) => change(({ count }) => count(minutes)),
    minutes: (from, to) => ask(() => queries.minutes(from, to, clock.now())),
    refusals: (since) => ask(() => queries.refusals(since, clock.now())),
    linkKey: () => ask(() => memory.linkKey),
    async close() {
      isClosed = true
    },
  }
}
