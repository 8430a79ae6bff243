import { expect, it, onTestFinished } from 'vitest'
import type { BeatResult } from '../../../src/inbox/postgres/beat.ts'
import { startBeatThread } from '../../../src/inbox/postgres/beats.ts'
import { createLane } from '../../../src/inbox/postgres/lane.ts'
import { prepareSchema } from '../../../src/inbox/postgres/migrate.ts'
import { register } from '../../../src/inbox/postgres/replica.ts'
import { testPostgres } from '../../support/postgres.ts'
import { postgresProxy } from '../../support/postgres-proxy.ts'
import { newSchema } from './support.ts'

const server = testPostgres()

/** A thread that beats; `next` resolves with the next beat, and how far the read time is from the true one. */
async function startBeats(url = server.url) {
  const schema = newSchema()
  await prepareSchema({ url: server.url, schema, migrate: true, insist: true })
  const lane = createLane({ url: server.url, schema, name: 'test', naming: { named: true } })
  const about = { version: '1', settings: {}, results: null, concurrency: 1 }
  const replica = await register(lane, about, Date.now())
  let heard = Promise.withResolvers<BeatResult & { readonly error: number }>()
  const beats = startBeatThread({
    ...{ place: { url, schema }, replica },
    async onBeat(result) {
      heard.resolve({ ...result, error: Math.abs(Date.now() - result.databaseNow - result.roundTrip / 2) })
      heard = Promise.withResolvers()
    },
    onDeath: heard.reject,
  })
  onTestFinished(async () => {
    await beats.stop()
    await lane.close()
  })
  return { next: () => heard.promise }
}

it('goes on over a new connection before others take the replica for dead, when its own hangs', async () => {
  const proxy = await postgresProxy(server.url)
  const { next } = await startBeats(proxy.url)
  await next()
  // Connections that are open swallow everything; a new one, which begins with its authentication, works.
  proxy.decide = (type) => {
    if (type !== 'R') return 'drop'
    proxy.decide = () => 'pass'
    return 'pass'
  }
  const began = performance.now()
  expect(await next()).toMatchObject({ isAlive: true })
  expect(performance.now() - began).toBeLessThan(8_000)
})

it('tells the time of the database rightly after the event loop stood still', async () => {
  const { next } = await startBeats()
  await next()
  const late = next()
  // The next beat is answered after two seconds, and heard after three and a half.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_500)
  expect((await late).error).toBeLessThan(500)
})
