import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { newSecret } from '../../src/signing.ts'
import type { Kind } from '../../src/simulator/documents/documents.ts'
import { startReducto } from '../../src/simulator/reducto.ts'
import { createSvix } from '../../src/simulator/svix.ts'
import { startBalancer } from '../support/balancer.ts'
import { freePort } from '../support/port.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { end, PATIENCE, ready, start } from './child.ts'
import { checkResult, type Damage } from './crash.ts'

/**
 * Three real services on one PostgreSQL, behind a balancer, with one folder of results: one of them only receives. Services
 * and the server are killed at random moments under load. What was promised is then looked for.
 */

const KINDS: readonly Kind[] = ['parse', 'parse-url', 'pipeline', 'edit', 'classify', 'extract']
/** Jobs that are delivered between two kills. */
const JOBS = 12
const SERVICES = 3
/** One of so many kills is that of the database server. */
const SERVER_KILLED = 4

export async function fleetCrash(kills: number): Promise<Damage> {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-fleet-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  const postgres = await startPostgres({ fsync: true })
  opened.defer(() => postgres.stop())
  const reducto = await startReducto()
  opened.defer(() => reducto.stop())
  const ports = await Promise.all(Array.from({ length: SERVICES }, () => freePort()))
  const balancer = await startBalancer(ports)
  opened.defer(() => balancer.stop())
  const secret = newSecret()
  const svix = createSvix({ speed: 500 })
  opened.defer(() => svix.stop())
  svix.addEndpoint({ url: `http://127.0.0.1:${balancer.port}/webhook`, secret })
  const results = join(folder, 'results')
  const envOf = (index: number): Record<string, string> => ({
    PATH: process.env.PATH!,
    HOST: '127.0.0.1',
    PORT: String(ports[index]),
    SVIX_WEBHOOK_SECRET: secret,
    REDUCTO_API_KEY: reducto.apiKey,
    REDUCTO_BASE_URL: reducto.url,
    DOWNLOAD_ALLOW_PRIVATE_HOSTS: '127.0.0.1',
    DATABASE_URL: postgres.url,
    RESULTS_URL: `file:${results}`,
    MIN_FREE_DISK: '0',
    SHUTDOWN_GRACE: '1s',
    LOG_LEVEL: 'silent',
    WORKER_CONCURRENCY: index === 0 ? '0' : '8',
  })
  const services: ChildProcess[] = ports.map((_, index) => start(envOf(index)))
  opened.defer(async () => {
    await Promise.all(services.map((one) => end(one, 'SIGKILL')))
  })
  await Promise.all(services.map((one, index) => ready(envOf(index), one)))

  const jobs = new Map<string, string>()
  for (let kill = 0; kill < kills; kill++) {
    for (let index = 0; index < JOBS; index++) {
      const jobId = reducto.addJob({ kind: KINDS[index % KINDS.length]!, metadata: { index } })
      jobs.set(jobId, svix.send({ status: 'Completed', job_id: jobId, metadata: { index } }))
    }
    await delay(Math.random() * 500)
    if (kill % SERVER_KILLED === SERVER_KILLED - 1) {
      await postgres.kill(Math.random() < 0.5 ? 'SIGKILL' : 'SIGINT')
      await delay(Math.random() * 500)
      await postgres.start()
      continue
    }
    const index = Math.floor(Math.random() * SERVICES)
    await end(services[index]!, 'SIGKILL')
    services[index] = start(envOf(index))
  }
  await Promise.all(services.map((one, index) => ready(envOf(index), one)))

  const client = new pg.Client({ connectionString: postgres.url })
  client.on('error', () => {})
  await client.connect()
  opened.defer(() => client.end())
  const rows = async () =>
    (await client.query('SELECT job_id, state, reason_message FROM reducto_receiver.job')).rows as JobState[]
  const deadline = Date.now() + PATIENCE
  await svix.settled()
  for (;;) {
    const found = await rows()
    // One that happened to run alone at each kill is dead, as one that kills the process: a person presses Resend.
    for (const { job_id, state } of found) if (state === 'dead') await svix.resend(jobs.get(job_id)!)
    if (found.length >= jobs.size && found.every(({ state }) => state === 'done')) break
    if (Date.now() > deadline) break
    await delay(100)
  }
  const acknowledged = new Set(
    svix
      .attempts()
      .filter(({ status }) => status === 200)
      .map(({ payload }) => JSON.parse(payload).job_id as string),
  )
  const states = new Map((await rows()).map((row) => [row.job_id, row]))
  const problems = [...acknowledged].flatMap((jobId) =>
    states.has(jobId) ? [] : [`${jobId} was acknowledged and is lost`],
  )
  for (const { job_id: jobId, state, reason_message } of states.values()) {
    if (state !== 'done') problems.push(`${jobId} is ${state}: ${reason_message}`)
    else if (!existsSync(join(results, jobId, 'record.json'))) problems.push(`${jobId} is done without a record`)
    else problems.push(...checkResult((path) => join(results, jobId, path), jobId))
  }
  problems.push(...(await miscounted(client)))
  return { acknowledged: acknowledged.size, done: states.size, problems }
}

type JobState = { readonly job_id: string; readonly state: string; readonly reason_message: string | null }

/** The counters that are kept are those of the rows. */
async function miscounted(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT state, n, (SELECT coalesce(sum(value), 0) FROM reducto_receiver.counter WHERE name = 'job:' || state) AS counted
     FROM (SELECT state, count(*) AS n FROM reducto_receiver.job GROUP BY state) AS job`,
  )
  return rows.flatMap(({ state, n, counted }) => (n === counted ? [] : [`${n} jobs are ${state}, counted ${counted}`]))
}
