import { expect, it, onTestFinished } from 'vitest'
import { createLane, type Lane, type LaneOptions } from '../../../src/inbox/postgres/lane.ts'
import { testPostgres } from '../../support/postgres.ts'
import { postgresProxy } from '../../support/postgres-proxy.ts'

const server = testPostgres()

function openLane(options: Partial<LaneOptions> = {}): Lane {
  const lane = createLane({ url: server.url, schema: 'public', name: 'test', naming: { named: true }, ...options })
  onTestFinished(() => lane.close())
  return lane
}

const one = (lane: Lane) => lane.transaction((tx) => tx.query<{ n: number }>('SELECT $1::integer AS n', [1]))

it('connects anew after the server refused a connection, for whatever reason', async () => {
  const admin = openLane()
  const role = `refused_${Math.random().toString(36).slice(2)}`
  await admin.transaction((tx) => tx.query(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 0`))
  onTestFinished(async () => void (await admin.transaction((tx) => tx.query(`DROP ROLE ${role}`))))
  const url = new URL(server.url.replace('@/', '@h/'))
  url.username = role
  const lane = openLane({ url: url.href.replace('@h/', '@/') })
  await expect(one(lane)).rejects.toMatchObject({ code: '53300' })
  await admin.transaction((tx) => tx.query(`ALTER ROLE ${role} CONNECTION LIMIT 5`))
  expect(await one(lane)).toEqual([{ n: 1 }])
  await lane.close()
})

it('refuses what has waited too long for its turn, and does not run it later', async () => {
  const proxy = await postgresProxy(server.url)
  const lane = openLane({ url: proxy.url, maxWait: 100 })
  await one(lane)
  proxy.freeze()
  const hanging = one(lane).catch((error) => error)
  let ran = false
  const waiting = lane.transaction(async (tx) => {
    ran = true
    return tx.query('SELECT 1', [])
  })
  await expect(waiting).rejects.toThrow('too long')
  proxy.heal()
  expect(await hanging).toEqual([{ n: 1 }])
  await one(lane)
  expect(ran).toBe(false)
})

it('ends at once what hangs when it is given up, and everything behind it', async () => {
  const proxy = await postgresProxy(server.url)
  const lane = openLane({ url: proxy.url })
  await one(lane)
  proxy.freeze()
  const both = [one(lane), one(lane)].map((each) => each.catch((error: Error) => error.message))
  const closed = lane.close()
  lane.giveUp()
  expect(await Promise.all(both)).toEqual(['the connection is closed', 'the connection is closed'])
  await closed
})

it('runs a transaction again whose session the server ended while this process stood still', async () => {
  const admin = openLane()
  const lane = openLane({ statementTimeout: 300 })
  let runs = 0
  const rows = await lane.transaction(async (tx) => {
    const [own] = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', [])
    // The event loop stands still, and the message of the end waits for the next statement.
    if (++runs === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)
    return tx.query('SELECT 1 AS n FROM (SELECT $1::integer) AS pid', [own!.pid])
  })
  expect({ rows, runs }).toEqual({ rows: [{ n: 1 }], runs: 2 })
  expect(await one(admin)).toEqual([{ n: 1 }])
})
