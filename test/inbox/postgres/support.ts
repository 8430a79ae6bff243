import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { ClaimId, Inbox } from '../../../src/inbox/inbox.ts'
import type { BeatResult } from '../../../src/inbox/postgres/beat.ts'
import { createBeat } from '../../../src/inbox/postgres/beat.ts'
import { openPostgres } from '../../../src/inbox/postgres/inbox.ts'
import { createLane } from '../../../src/inbox/postgres/lane.ts'
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts'

/** One of several services on one inbox, whose beats a test sends. */
export type TestReplica = {
  readonly inbox: Inbox
  readonly clock: ManualClock
  /** Claims that it was told to have lost. */
  readonly lost: ClaimId[]
  readonly warnings: string[]
  /** Beats once, looks at the others, and does what that demands: resolves when it has. */
  beat(): Promise<BeatResult>
  /** Is told of a beat, as by a message of the thread that was long under way. */
  hear(result: BeatResult): Promise<void>
}

export type ReplicaOptions = {
  readonly url: string
  readonly schema: string
  readonly clock?: ManualClock
  readonly listens?: boolean
  readonly concurrency?: number
  readonly settings?: Readonly<Record<string, string>>
}

export const newSchema = () => `fleet_${randomBytes(6).toString('hex')}`

export async function openReplica(options: ReplicaOptions): Promise<TestReplica> {
  const clock = options.clock ?? createManualClock()
  const place = { url: options.url, schema: options.schema }
  const lane = createLane({ ...place, name: 'beat', naming: { named: true }, sync: 'off' })
  const beat = createBeat(lane, clock.monotonic)
  const lost: ClaimId[] = []
  const warnings: string[] = []
  let replica = 0
  let told: (result: BeatResult) => Promise<void> = async () => {}
  const inbox = await openPostgres({
    ...{ place, clock, isService: true },
    about: { version: '1', settings: options.settings ?? {}, results: null, concurrency: options.concurrency ?? 8 },
    onLost: (claims) => void lost.push(...claims),
    onWarning: (message) => void warnings.push(message),
    onDeath() {},
    test: {
      insist: true,
      listens: options.listens ?? false,
      startBeats(given) {
        replica = given.replica
        told = given.onBeat
        return {
          rename: (next) => {
            replica = next
          },
          async stop() {},
        }
      },
    },
  })
  onTestFinished(async () => {
    await inbox.close()
    await lane.close()
  })
  return {
    ...{ inbox, clock, lost, warnings },
    hear: (result) => told(result),
    async beat() {
      const result = await beat(replica)
      await told(result)
      return result
    },
  }
}

/** The replicas beat together, so often, two seconds apart. */
export async function beatAll(replicas: readonly TestReplica[], times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    for (const clock of new Set(replicas.map((one) => one.clock))) clock.advance(2_000)
    for (const replica of replicas) await replica.beat()
  }
}
