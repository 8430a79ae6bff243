import { expect, it } from 'vitest'
import { createLane } from '../../../src/inbox/postgres/lane.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { testPostgres } from '../../support/postgres.ts'
import { delivery } from '../../support/service.ts'
import { attempt, claimFrom, dead, done } from '../contract/support.ts'
import { newSchema, openReplica } from './support.ts'

const server = testPostgres()
const JOBS = 24
const ROUNDS = 8

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, one) => all + one, 0)

it('keeps its counts while services accept, claim, settle, requeue, erase, expect and prune the same jobs', async () => {
  const clock = createManualClock()
  const schema = newSchema()
  const inboxes = []
  for (let index = 0; index < 3; index++) inboxes.push((await openReplica({ url: server.url, schema, clock })).inbox)
  const ids = Array.from({ length: JOBS }, (_, index) => `job-${index}`)
  const failures: unknown[] = []
  const settled = async (work: Promise<unknown>[]) => {
    for (const one of await Promise.allSettled(work))
      if (one.status === 'rejected' && !/meanwhile/.test(String(one.reason))) failures.push(one.reason)
  }
  for (let round = 0; round < ROUNDS; round++) {
    clock.advance(1_000)
    await settled(
      inboxes.flatMap((inbox, at) => {
        const order = at % 2 === 0 ? ids : ids.toReversed()
        return [
          ...order.map((id, index) => inbox.accept(delivery(id, { svixId: `msg_${id}_${(round + index + at) % 5}` }))),
          claimFrom(inbox, 8).then(async (claims) => {
            await settled(
              claims.map((claim, index) =>
                inbox.settle(claim, index % 3 === 0 ? dead(claim) : done(claim), attempt(), null),
              ),
            )
          }),
          inbox.requeue({ state: 'dead' }),
          ...order.slice(0, 6).map((id) => inbox.erase(id)),
          ...order.slice(3, 9).map((id) => inbox.expect(`${id}-${round}`, { by: 'api', metadata: { round } })),
          ...order.slice(3, 9).map((id) => inbox.missed(`${id}-${round}`, { status: 'done', endpoint: 'default' })),
          inbox.prune(clock.now() - 2_000),
          inbox.pruneBodies(clock.now() - 2_000),
        ]
      }),
    )
  }
  // Not one was refused: locks that wait for each other hold up everybody behind them, for a second and more.
  expect(failures).toEqual([])
  const lane = createLane({ url: server.url, schema, name: 'test', naming: { named: true } })
  const [jobs, deliveries] = await lane.transaction((tx) =>
    tx.all([
      { text: 'SELECT state, count(*) AS n FROM job GROUP BY state' },
      { text: 'SELECT disposition, count(*) AS n FROM delivery GROUP BY disposition' },
    ]),
  )
  await lane.close()
  const stats = await inboxes[0]!.stats()
  for (const { state, n } of jobs!) expect(stats.jobs[state as 'done'], state as string).toBe(n)
  expect(sum(stats.jobs)).toBe(jobs!.reduce((all, { n }) => all + (n as number), 0))
  expect(stats.deliveries.job).toBe(deliveries![0]!.n)
})
