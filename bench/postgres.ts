import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Inbox } from '../src/inbox/inbox.ts'
import { type PostgresServer, startPostgres } from '../test/support/postgres-server.ts'
import { benchDelivery, openForBench } from './postgres-accept.ts'

/**
 * `node bench/postgres.ts`: what the inbox on PostgreSQL costs, as ratios of one run. Server and load share this machine; the
 * server syncs. Rows alternate, so that a machine that slows down slows all.
 */

const RUNS = Number(process.env.BENCH_RUNS ?? 5)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4)
const QUEUED = Number(process.env.BENCH_FILL ?? 1_000_000)
const ACCEPT = resolve(import.meta.dirname, 'postgres-accept.ts')
/** Jobs whose pickup, and whose way through claim and settlement, is measured. */
const PICKUPS = 200
const JOBS = 4_000
const PLACES = 8

const folder = mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), 'receiver-bench-pg-'))
const server = await startPostgres({ fsync: true, settings: { max_wal_size: '4GB' } })
try {
  await accepts(server)
  await pickup(server.url)
  await work(server)
  await idle(server)
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

function print(
  what: string,
  target: string,
  values: readonly number[],
  isGood: (median: number) => boolean,
  unit = '×',
): void {
  const sorted = [...values].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const shown = (value: number) => value.toFixed(value >= 20 ? 0 : 2)
  process.stdout.write(
    `| ${what} | ${target} | ${shown(median)} ${unit} | ${shown(sorted[0]!)} to ${shown(sorted.at(-1)!)} | ${isGood(median) ? 'reached' : '**missed**'} |\n`,
  )
}

/** Accepts a second, of a process of its own. */
async function accepted(url: string, how: 'groups' | 'single'): Promise<number> {
  const child: ChildProcess = fork(ACCEPT, [url, how, String(SECONDS)])
  const ended = once(child, 'exit')
  const [rate] = await Promise.race([once(child, 'message'), ended.then(() => [null])])
  await ended
  if (typeof rate !== 'number') throw new Error(`accepting ${how} failed`)
  return rate
}

async function accepts({ url }: PostgresServer): Promise<void> {
  const [single, sqlite, two]: number[][] = [[], [], []]
  // The schema is made.
  await (await openForBench(url)).close()
  for (let run = 0; run < RUNS; run++) {
    const one = await accepted(url, 'groups')
    single!.push(one / (await accepted(url, 'single')))
    sqlite!.push(one / (await accepted(`sqlite:${join(folder, `${run}.db`)}`, 'groups')))
    const both = await Promise.all([accepted(url, 'groups'), accepted(url, 'groups')])
    two!.push((both[0]! + both[1]!) / one)
  }
  print('accepts in groups against single ones on one connection', '≥ 10', single!, (value) => value >= 10)
  print('accepts at the store against SQLite’s', '≥ 0.9', sqlite!, (value) => value >= 0.9)
  print('two services against one, on the same cores', '≥ 1.1', two!, (value) => value >= 1.1)
}

function claimAll(inbox: Inbox, limit: number) {
  return inbox.claim('fetch', { limit, total: limit, newestFirst: false, isOtherOpen: true })
}

/** From acknowledged at one service to claimed at another. */
async function pickup(url: string): Promise<void> {
  const [receiver, worker] = [await openForBench(url, 0), await openForBench(url)]
  await emptied(url)
  // Listening begins beside the start.
  await delay(1_000)
  const times: number[] = []
  for (let index = 0; index < PICKUPS; index++) {
    if ((await claimAll(worker, PLACES)).length > 0) throw new Error('something is left')
    const claimed = worker.ready('fetch', AbortSignal.timeout(10_000)).then(() => claimAll(worker, PLACES))
    await receiver.accept(benchDelivery())
    const acknowledged = performance.now()
    if ((await claimed).length !== 1) throw new Error('nothing was claimed')
    times.push(performance.now() - acknowledged)
  }
  times.sort((a, b) => a - b)
  print(
    'acknowledged to claimed elsewhere, p99',
    '≤ 50',
    [times[Math.floor(PICKUPS * 0.99)]!],
    (value) => value <= 50,
    'ms',
  )
  await Promise.all([receiver.close(), worker.close()])
}

/** The server's processor time for claiming and settling a job. */
async function work({ url, pid }: PostgresServer): Promise<void> {
  await emptied(url)
  const inbox = await openForBench(url)
  for (let index = 0; index < JOBS; index += 500)
    await Promise.all(Array.from({ length: 500 }, () => inbox.accept(benchDelivery())))
  const before = cpuMs(pid)
  for (let left = JOBS; left > 0; ) {
    const claims = await claimAll(inbox, PLACES)
    left -= claims.length
    await Promise.all(
      claims.map((claim) => {
        const noted = { startedAt: Date.now(), ms: 1, task: 'fetch', outcome: 'done', reason: null } as const
        const attempt = { ...noted, savedStatus: 'Completed', type: 'Parse' }
        return inbox.settle(claim, { ...claim.progress, state: 'done' }, attempt, null)
      }),
    )
  }
  const perJob = ((cpuMs(pid) - before) / JOBS) * 1_000
  print(`server CPU of a job at ${PLACES} places`, '≤ 700', [perJob], (value) => value <= 700, 'µs')
  await inbox.close()
}

/** The server’s processor time with two services that find nothing to do, and very many jobs that wait. */
async function idle({ url, pid }: PostgresServer): Promise<void> {
  await emptied(url)
  const services = [await openForBench(url), await openForBench(url)]
  await query(
    url,
    `INSERT INTO reducto_receiver.job (job_id, endpoint, announced_status, due_at, created_at, queued_at, updated_at)
     SELECT 'job-' || n, 'default', 'Completed', extract(epoch FROM now()) * 1000 + 600000, 1, 1, 1 FROM generate_series(1, ${QUEUED}) AS n`,
  )
  await query(url, 'VACUUM ANALYZE reducto_receiver.job')
  await query(url, 'CHECKPOINT')
  const stop = new AbortController()
  const waiting = services.map(async (one) => {
    while (!stop.signal.aborted) {
      await claimAll(one, PLACES)
      await one.ready('fetch', stop.signal)
    }
  })
  const before = cpuMs(pid)
  await delay(SECONDS * 5_000)
  const share = ((cpuMs(pid) - before) / (SECONDS * 5_000)) * 100
  print(`idle server, ${QUEUED} jobs queued, two services`, '≤ 1', [share], (value) => value <= 1, '% of a core')
  stop.abort()
  await Promise.all(waiting)
  await Promise.all(services.map((one) => one.close()))
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(text)
  await client.end()
}

async function emptied(url: string): Promise<void> {
  await query(
    url,
    'TRUNCATE reducto_receiver.job, reducto_receiver.delivery, reducto_receiver.attempt, reducto_receiver.counter',
  )
}

/** Processor time of the server and all of its processes, also of those that have ended, ms. Linux alone tells. */
function cpuMs(pid: number): number {
  const ticks = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(name))
    .filter((stat) => stat !== null && (stat.pid === pid || stat.parent === pid))
  // Of its ended children the server itself has the sum.
  return ticks.reduce((sum, stat) => sum + stat!.own + (stat!.pid === pid ? stat!.ended : 0), 0) * 10
}

function statOf(name: string): { pid: number; parent: number; own: number; ended: number } | null {
  try {
    const text = readFileSync(`/proc/${name}/stat`, 'utf8')
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    return { pid: Number(name), parent: fields[1]!, own: fields[11]! + fields[12]!, ended: fields[13]! + fields[14]! }
  } catch {
    return null
  }
}
