import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { openInbox } from '../../../src/inbox/open.ts'
import { importInbox } from '../../../src/inbox/postgres/import.ts'
import { createLane } from '../../../src/inbox/postgres/lane.ts'
import { prepareSchema } from '../../../src/inbox/postgres/migrate.ts'
import { register } from '../../../src/inbox/postgres/replica.ts'
import { testPostgres } from '../../support/postgres.ts'
import { postgresProxy } from '../../support/postgres-proxy.ts'
import { newSchema } from './support.ts'

const server = testPostgres()
const about = { version: '1', settings: {}, results: null, concurrency: 1 }

function openLane(schema = 'public') {
  const lane = createLane({ url: server.url, schema, name: 'test', naming: { named: true } })
  onTestFinished(() => lane.close())
  return lane
}

/** A role that is no superuser, and the URL by which it connects. */
async function newRole(options: string) {
  const lane = openLane()
  const role = `role_${randomBytes(6).toString('hex')}`
  const run = (text: string) => lane.transaction((tx) => tx.query(text))
  await run(`CREATE ROLE ${role} LOGIN ${options}`)
  onTestFinished(async () => {
    await run(`DROP OWNED BY ${role}`)
    await run(`DROP ROLE ${role}`)
  })
  return { role, run, url: server.url.replace(/\/\/[^@]*@/, `//${role}@`) }
}

function opening(url: string, signal: AbortSignal, waits: string[]) {
  const place = { kind: 'postgres', url, location: 'postgres://test/db' } as const
  return openInbox(place, {
    ...{ clock: systemClock, minFree: 0, signal, about },
    onWait: (why, message) => void waits.push(`${why}: ${message}`),
    ...{ onLost() {}, onWarning() {}, onDeath() {} },
  })
}

it('waits at its start while the server has too many connections', async () => {
  const { role, run, url } = await newRole('CONNECTION LIMIT 0')
  const waits: string[] = []
  const opened = opening(url, new AbortController().signal, waits).catch((error: Error) => error.message)
  await vi.waitFor(() => expect(waits).toEqual([expect.stringContaining('too many connections')]), 5_000)
  await run(`ALTER ROLE ${role} CONNECTION LIMIT 9`)
  // It has got in: the server of these tests keeps nothing.
  expect(await opened).toContain('fsync = off')
})

it('starts with a role that may create nothing on a schema that is up to date', async () => {
  const { role, run, url } = await newRole('')
  const schema = newSchema()
  await prepareSchema({ url: server.url, schema, migrate: true, insist: true })
  await run(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
  await run(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
  await prepareSchema({ url, schema, migrate: true, insist: true })
  await expect(prepareSchema({ url, schema: newSchema(), migrate: true, insist: true })).rejects.toMatchObject({
    name: 'DatabaseRefused',
    message: expect.stringContaining('grant it CREATE'),
  })
})

it('starts with roles whose transactions are read-only and serializable by default, several at once', async () => {
  const { role, run, url } = await newRole('')
  await run(`ALTER ROLE ${role} SET default_transaction_read_only = on`)
  await run(`ALTER ROLE ${role} SET default_transaction_isolation = 'serializable'`)
  const schema = newSchema()
  await run(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`)
  await Promise.all(Array.from({ length: 4 }, () => prepareSchema({ url, schema, migrate: true, insist: true })))
})

it('gives up a start that gets no answer, and stops at once when it is asked to', async () => {
  const proxy = await postgresProxy(server.url)
  let isAsked = false
  // Every connection is made, and then silent.
  proxy.decide = (type, body) => {
    isAsked ||= type === 'T' && body.includes('fsync')
    return isAsked ? 'drop' : 'pass'
  }
  const place = { url: proxy.url, schema: newSchema(), migrate: true }
  await expect(prepareSchema({ ...place, answerTimeout: 200 })).rejects.toThrow('timeout')
  isAsked = false
  const stop = new AbortController()
  const opened = opening(proxy.url, stop.signal, []).catch((error: Error) => error.message)
  await vi.waitFor(() => expect(isAsked).toBe(true), 5_000)
  stop.abort(new Error('stopped'))
  expect(await opened).toBe('stopped')
})

/** An inbox to be moved, with so many minutes counted; it breaks off after the first table. */
function source(identity: number, breaksOff: boolean) {
  const row = { at: 60_000, name: `of ${identity}`, n: 1 }
  return {
    identity: () => identity,
    count: () => 1,
    counters: () => new Map<string, number>(),
    rows(table: 'minute' | 'hour') {
      if (breaksOff && table === 'hour') throw new Error('broken off')
      return [row]
    },
  }
}

it('does not go on with the move of one inbox where that of another broke off', async () => {
  const place = { url: server.url, schema: newSchema(), insist: true }
  const move = (identity: number, breaksOff: boolean) =>
    importInbox(place, source(identity, breaksOff), ['minute', 'hour'], () => {})
  await expect(move(1, true)).rejects.toThrow('broken off')
  await expect(move(2, false)).rejects.toMatchObject({
    name: 'DatabaseRefused',
    message: expect.stringContaining('another inbox'),
  })
  expect(await move(1, false)).toEqual({ minute: 1, hour: 1 })
})

it('refuses a service that starts while a move begins', async () => {
  const schema = newSchema()
  await prepareSchema({ url: server.url, schema, migrate: true, insist: true })
  const moving = openLane(schema)
  const service = openLane(schema)
  let registered: Promise<unknown> | undefined
  await moving.transaction(async (tx) => {
    await tx.query('LOCK TABLE replica IN SHARE ROW EXCLUSIVE MODE')
    await tx.query(`INSERT INTO counter (name, source, value) VALUES ('moving', 0, 7)`)
    registered = register(service, about, 0).catch((error: Error) => error.name)
    await vi.waitFor(async () => {
      const [row] = await tx.query<{ n: number }>('SELECT count(*) AS n FROM pg_locks WHERE NOT granted')
      expect(row!.n).toBeGreaterThan(0)
    })
  })
  expect(await registered).toBe('DatabaseRefused')
})
