import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedger } from '../src/inbox/open.ts'
import { MAX_LOG_BYTES } from '../src/inbox/sqlite/checkpoint.ts'
import { newSecret, sign, signatureHeaders } from '../src/signing.ts'
import { freePort } from '../test/support/port.ts'
import { fill } from './fill.ts'
import { generator, type Load, load, messageId, writeDeliveries } from './load.ts'
import { askAll, buildIndex, fillForSearch } from './search.ts'
import { type Running, startHelper, startReceiver } from './servers.ts'

/**
 * `npm run bench [-- ROW…]`: what the service costs, as ratios against a baseline in the same run on the same machine.
 * Each row is the median of RUNS runs, with the least and the largest. Rows alternate between baseline and service, so
 * that a machine that slows down slows both.
 */

const RUNS = Number(process.env.BENCH_RUNS ?? 5)
const SECONDS = Number(process.env.BENCH_SECONDS ?? 4)
const DELIVERIES = 200_000
const MILLION = Number(process.env.BENCH_FILL ?? 1_000_000)

const folder = mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), 'receiver-bench-'))
const secret = newSecret()
const wanted = process.argv.slice(2)

type Row = {
  readonly what: string
  readonly target: string
  readonly values: readonly number[]
  readonly good: ((median: number) => boolean) | null
  readonly unit?: string
}
const rows: Row[] = []

/** `good`: whether a median reaches the target; null for figures that are told and have none. */
function row(
  what: string,
  target: string,
  values: readonly number[],
  good: ((median: number) => boolean) | null,
  unit = '×',
): void {
  rows.push({ what, target, values, good, unit })
  print(rows.at(-1)!)
}

function print({ what, target, values, good, unit }: Row): void {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = median(values)
  const digits = (value: number) => value.toFixed(Math.abs(value) >= 20 ? 0 : 2)
  process.stdout.write(
    `| ${what} | ${target} | ${digits(middle)} ${unit} | ${digits(sorted[0]!)} to ${digits(sorted.at(-1)!)} | ${good === null ? '' : good(middle) ? 'reached' : '**missed**'} |\n`,
  )
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

let place = 0
/** Settings of a service in a fresh folder. */
async function settings(more: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
  const here = join(folder, String(place++))
  mkdirSync(here)
  return {
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    SVIX_WEBHOOK_SECRET: secret,
    REDUCTO_API_KEY: 'bench',
    REDUCTO_BASE_URL: 'http://127.0.0.1:9009',
    DATABASE_URL: `sqlite:${join(here, 'receiver.db')}`,
    RESULTS_URL: `file:${join(here, 'results')}`,
    DOWNLOAD_ALLOW_PRIVATE_HOSTS: '127.0.0.1',
    WORKER_CONCURRENCY: '0',
    MIN_FREE_DISK: '0',
    ...more,
  }
}

async function measured(server: Running, connections: number, seconds = SECONDS): Promise<Load> {
  const file = writeDeliveries(folder, secret, connections === 1 ? 40_000 : DELIVERIES)
  await load(`${server.url}/webhook`, writeDeliveries(folder, secret, 20_000, 'warm-up'), connections, 1)
  const result = await load(`${server.url}/webhook`, file, connections, seconds)
  if (result.errors > 0) throw new Error(`${result.errors} answers were errors`)
  return result
}

/** Starts a server, measures it, stops it. */
async function during<T>(starting: Promise<Running>, measure: (server: Running) => Promise<T>): Promise<T> {
  const server = await starting
  try {
    return await measure(server)
  } finally {
    await server.stop()
  }
}

const baseline = () => startHelper('baseline.ts', [secret])
const storing = () => startHelper('baseline.ts', [secret, join(folder, `baseline-${place++}.db`)])

async function againstOwn(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const own = await during(storing(), (server) => measured(server, 64))
    const ours = await during(startReceiver(await settings()), (server) => measured(server, 64))
    values.push(ours.perSecond / own.perSecond)
  }
  row(
    'durable acknowledgements a second, 64 connections, against Express, svix and one synced SQLite insert a request',
    '≥ 4',
    values,
    (x) => x >= 4,
  )
}

async function acknowledging(): Promise<void> {
  for (const [connections, least] of [
    [64, 0.85],
    [256, 1],
  ] as const) {
    const throughput: number[] = []
    const p99: number[] = []
    const absolute: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const seed = await during(baseline(), (server) => measured(server, connections))
      const ours = await during(startReceiver(await settings()), (server) => measured(server, connections))
      absolute.push(ours.perSecond)
      throughput.push(ours.perSecond / seed.perSecond)
      p99.push(ours.p99 / seed.p99)
    }
    row(`durable acknowledgements, ${connections} connections`, '–', absolute, null, '/s')
    row(
      `durable acknowledgements a second, ${connections} connections, against an Express handler that stores nothing`,
      `≥ ${least}`,
      throughput,
      (x) => x >= least,
    )
    row(`its p99 against that handler’s p99, ${connections} connections`, '≤ 2', p99, (x) => x <= 2)
  }
}

const ADMIN_TOKEN = 'a-token-of-the-bench'

/** Asks for the metrics every second, fifteen times as often as Prometheus does. */
async function whileScraped<T>(server: Running, measure: () => Promise<T>): Promise<T> {
  const scrape = async () => {
    const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })
    if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}`)
    await answer.arrayBuffer()
  }
  await scrape()
  const scraping = setInterval(() => void scrape(), 1_000)
  try {
    return await measure()
  } finally {
    clearInterval(scraping)
  }
}

async function scraped(): Promise<void> {
  const throughput: number[] = []
  const p99: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const without = async () => during(startReceiver(await settings()), (server) => measured(server, 64))
    const counting = async () =>
      during(startReceiver(await settings({ ADMIN_TOKEN })), (server) =>
        whileScraped(server, () => measured(server, 64)),
      )
    // Who comes first takes turns: a machine gets slower, and faster.
    const first = run % 2 === 0 ? await counting() : null
    const plain = await without()
    const watched = first ?? (await counting())
    throughput.push(watched.perSecond / plain.perSecond)
    p99.push(watched.p99 / plain.p99)
  }
  row(
    'acknowledgements a second with metrics, scraped every second, against none, 64 connections',
    '≥ 0.95',
    throughput,
    (x) => x >= 0.95,
  )
  row('its p99 against that without metrics', '≤ 1.2', p99, (x) => x <= 1.2)
}

async function grouping(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    values.push(
      await during(startReceiver(await settings(), ['count-commits.ts']), async (server) => {
        await measured(server, 64, 2)
        const answer = once(server.child, 'message')
        server.child.send('tell')
        const [{ commits, accepts }] = (await answer) as [{ commits: number; accepts: number }]
        return accepts / commits
      }),
    )
  }
  row('accepts for each commit, 64 connections', '≥ 25', values, (x) => x >= 25, '')
}

async function alone(): Promise<void> {
  const values: number[] = []
  const absolute: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const seed = await during(baseline(), (server) => measured(server, 1))
    const ours = await during(startReceiver(await settings()), (server) => measured(server, 1))
    absolute.push(ours.p50)
    values.push(ours.p50 / (seed.p50 + fsyncTime()))
  }
  row('one connection: p50 of the acknowledgement', '–', absolute, null, 'ms')
  row(
    'one connection: p50 of the acknowledgement against that handler’s and one fsync',
    '≤ 1.6',
    values,
    (x) => x <= 1.6,
  )
}

/** p50 of appending a page to a file and syncing it, ms: what a commit costs at least. */
function fsyncTime(): number {
  const file = openSync(join(folder, 'fsync'), 'w')
  const page = Buffer.alloc(4096)
  const times: number[] = []
  for (let index = 0; index < 2_000; index++) {
    const began = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    times.push(performance.now() - began)
  }
  closeSync(file)
  return median(times)
}

/** Settings of a service whose inbox is a copy of this one. */
async function filledWith(full: string): Promise<Record<string, string>> {
  const env = await settings()
  const copy = env.DATABASE_URL!.slice('sqlite:'.length)
  copyFileSync(full, copy)
  // Else the system writes the copy out while the service is measured.
  const file = openSync(copy, 'r')
  fsyncSync(file)
  closeSync(file)
  return env
}

async function million(): Promise<void> {
  const full = join(folder, 'million.db')
  fill(full, MILLION)
  const latency: number[] = []
  const throughput: number[] = []
  const start: number[] = []
  const startTime = async (env: Record<string, string>) => {
    const began = performance.now()
    await during(startReceiver(env), async () => {})
    return performance.now() - began
  }
  for (let run = 0; run < RUNS; run++) {
    const [emptyEnv, fullEnv] = [await settings(), await filledWith(full)]
    await startTime(emptyEnv)
    start.push((await startTime(fullEnv)) / (await startTime(emptyEnv)))
    const one = await during(startReceiver(emptyEnv), (server) => measured(server, 1))
    const two = await during(startReceiver(fullEnv), (server) => measured(server, 1))
    latency.push(two.p50 / one.p50)
    const three = await during(startReceiver(emptyEnv), (server) => measured(server, 64))
    const four = await during(startReceiver(fullEnv), (server) => measured(server, 64))
    throughput.push(four.perSecond / three.perSecond)
    rmSync(fullEnv.DATABASE_URL!.slice('sqlite:'.length))
  }
  row(
    `acknowledgement p50 with ${MILLION.toLocaleString('en')} deliveries in the inbox against an empty one`,
    '≤ 1.2',
    latency,
    (x) => x <= 1.2,
  )
  row('its throughput against an empty one', '≥ 0.85', throughput, (x) => x >= 0.85)
  row(
    `from start to ready with ${MILLION.toLocaleString('en')} deliveries against an empty one`,
    '≤ 1.5',
    start,
    (x) => x <= 1.5,
  )
}

async function searching(): Promise<void> {
  const full = join(folder, 'search.db')
  fillForSearch(full, MILLION)
  const build = await buildIndex(full, MILLION)
  row(`index of search built, ${MILLION.toLocaleString('en')} jobs`, '–', [build], null, 's')
  const share = statSync(`${full}.search`).size / statSync(full).size
  row('its size against the database', '≤ 0.2', [share], (x) => x <= 0.2)
  const ledger = await openLedger({ kind: 'sqlite', path: full })
  const times = new Map<string, number[]>()
  for (let run = 0; run < RUNS; run++)
    for (const [what, ms] of await askAll(ledger)) times.set(what, [...(times.get(what) ?? []), ms])
  await ledger.close()
  for (const [what, values] of times)
    row(`${what}, ${MILLION.toLocaleString('en')} jobs`, '< 100 ms', values, (x) => x < 100, 'ms')
  await acknowledgingWhileSearched(full)
}

/** The index is built, and a page is asked for every second, while deliveries come. */
async function acknowledgingWhileSearched(full: string): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const measure = async (isSearched: boolean) => {
      const env = await filledWith(full)
      const path = env.DATABASE_URL!.slice('sqlite:'.length)
      if (!isSearched) copyFileSync(`${full}.search`, `${path}.search`)
      const p99 = await during(startReceiver(env), async (server) => {
        const ledger = await openLedger({ kind: 'sqlite', path })
        const asking = isSearched
          ? setInterval(() => void ledger.list({ q: 'schmidt8' }, { limit: 50 }), 1_000)
          : undefined
        const load = await measured(server, 64)
        clearInterval(asking)
        await ledger.close()
        return load.p99
      })
      rmSync(path)
      return p99
    }
    const first = run % 2 === 0 ? await measure(true) : null
    const without = await measure(false)
    values.push((first ?? (await measure(true))) / without)
  }
  row(
    'p99 of acknowledgements, 64 connections, with the index being built and searched, against without',
    '≤ 1.2',
    values,
    (x) => x <= 1.2,
  )
}

async function whileDownloading(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const reducto = await startHelper('reducto.ts', ['large', String(1024 ** 3)])
    const account = { REDUCTO_BASE_URL: reducto.url, REDUCTO_API_KEY: reducto.info.apiKey!, WORKER_CONCURRENCY: '2' }
    const paced = (server: Running) => latencies(server, { count: 300, pause: 10 })
    const idle = await during(startReceiver(await settings(account)), paced)
    const busy = await during(startReceiver(await settings(account)), async (server) => {
      for (const job of ['a', 'b']) await deliver(server, `large-${run}-${job}`)
      return paced(server)
    })
    await reducto.stop()
    values.push(percentile(busy, 99) / percentile(idle, 99))
  }
  row(
    'acknowledgement p99 while the worker downloads at full speed against an idle worker',
    '≤ 2',
    values,
    (x) => x <= 2,
  )
}

type Pace = { readonly count: number; readonly pause: number; readonly jobs?: true; goesOn?(): boolean }

/**
 * Acknowledgement times, ms, of deliveries one after another with a `pause` between them, ms, while `goesOn`: of pings,
 * which leave the worker nothing to do, or of jobs.
 */
async function latencies(server: Running, { count, pause, jobs, goesOn = () => true }: Pace): Promise<number[]> {
  const times: number[] = []
  for (let index = 0; index < count && goesOn(); index++) {
    const began = performance.now()
    await (jobs ? deliver(server, randomUUID()) : send(server, '{"success":true}'))
    times.push(performance.now() - began)
    await new Promise((next) => setTimeout(next, pause))
  }
  return times
}

function percentile(values: readonly number[], percent: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length * percent) / 100)]!
}

async function send(server: Running, body: string): Promise<void> {
  const headers = signatureHeaders(sign(messageId(Date.now(), 0), new Date(), body, [secret]))
  const response = await fetch(`${server.url}/webhook`, { method: 'POST', headers, body })
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`answered ${response.status}`)
}

function deliver(server: Running, jobId: string): Promise<void> {
  return send(server, JSON.stringify({ status: 'Completed', job_id: jobId }))
}

/** Of a small cloud disk, a second. */
const SLOW_OPERATIONS = 3_000

/** Another process fills the log; deliveries let it pass its bound, and the checkpoint is over when it is empty. */
async function duringCheckpoint(): Promise<void> {
  const slowDisk = compile('slow-disk.c')
  if (slowDisk === null) return void process.stdout.write('| during a checkpoint | | no C compiler here | | |\n')
  const full = join(folder, 'million.db')
  if (!existsSync(full)) fill(full, MILLION)
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const slow = { LD_PRELOAD: slowDisk, SLOW_OPERATIONS: String(SLOW_OPERATIONS) }
    const env: Record<string, string> = { ...(await filledWith(full)), ...slow }
    const path = env.DATABASE_URL!.slice('sqlite:'.length)
    const isFull = () => statSync(`${path}-wal`).size >= MAX_LOG_BYTES
    await during(startReceiver(env), async (server) => {
      const pace = { count: 1_000, pause: 1, jobs: true } as const
      await latencies(server, { ...pace, count: 50 })
      const quiet = await latencies(server, { ...pace, count: 300 })
      spawnSync(process.execPath, [join(import.meta.dirname, 'fill-log.ts'), path, String(MAX_LOG_BYTES - 1024 ** 2)])
      await latencies(server, { ...pace, goesOn: () => !isFull() })
      const moving = await latencies(server, { ...pace, goesOn: isFull })
      if (moving.length < 100) throw new Error('the checkpoint was over before it was measured')
      values.push(percentile(moving, 99) / percentile(quiet, 99))
    })
    rmSync(path)
  }
  row(
    `acknowledgement p99 during a checkpoint, ${MILLION.toLocaleString('en')} deliveries, a disk of ${SLOW_OPERATIONS} operations a second, against none`,
    '≤ 3',
    values,
    (x) => x <= 3,
  )
}

/** Compiles a shim into the folder of the bench; null where there is no C compiler. */
function compile(source: string): string | null {
  const shim = join(folder, `${source}.so`)
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', shim, join(import.meta.dirname, source), '-ldl', '-lpthread'])
    return shim
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Deliver, then look for the record every millisecond. */
async function toResult(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const reducto = await startHelper('reducto.ts', ['plain'])
    const headers = { authorization: `Bearer ${reducto.info.apiKey}` }
    const env = await settings({
      REDUCTO_BASE_URL: reducto.url,
      REDUCTO_API_KEY: reducto.info.apiKey!,
      WORKER_CONCURRENCY: '8',
    })
    const results = env.RESULTS_URL!.slice('file:'.length)
    const ratio = await during(startReceiver(env), async (server) => {
      const calls: number[] = []
      const whole: number[] = []
      for (let index = 0; index < 200; index++) {
        const jobId = `job-${run}-${index}`
        let began = performance.now()
        await (await fetch(`${reducto.url}/job/${jobId}`, { headers })).arrayBuffer()
        calls.push(performance.now() - began)
        began = performance.now()
        await deliver(server, jobId)
        while (!statSync(join(results, jobId, 'record.json'), { throwIfNoEntry: false }))
          await new Promise((next) => setTimeout(next, 1))
        whole.push(performance.now() - began)
      }
      // A real call to Reducto takes its time on the way: 100 ms is what a transatlantic one takes at least.
      const REAL = 100
      return (percentile(whole, 50) - percentile(calls, 50) + REAL) / REAL
    })
    values.push(ratio)
    await reducto.stop()
  }
  row('delivery to saved result, p50, against the Reducto call alone (of 100 ms)', '≤ 1.2', values, (x) => x <= 1.2)
}

/** Reducto's limit is 200 calls of `GET /job/{id}` a second. */
const CALLS_PER_SECOND = 200
const SMALL_JOBS = 1_000
/** Deliveries under way at once, as Svix sends them: one by one, the sender would be measured. */
const SENDERS = 16

async function smallJobs(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const reducto = await startHelper('reducto.ts', ['plain'])
    const env = await settings({
      REDUCTO_BASE_URL: reducto.url,
      REDUCTO_API_KEY: reducto.info.apiKey!,
      WORKER_CONCURRENCY: '8',
    })
    const results = env.RESULTS_URL!.slice('file:'.length)
    const saved = (index: number) =>
      statSync(join(results, `job-${run}-${index}`, 'record.json'), { throwIfNoEntry: false })
    values.push(
      await during(startReceiver(env), async (server) => {
        const began = performance.now()
        const indexes = Array(SMALL_JOBS).keys()
        const sender = async () => {
          for (const index of indexes) await deliver(server, `job-${run}-${index}`)
        }
        await Promise.all(Array.from({ length: SENDERS }, sender))
        for (let index = 0; index < SMALL_JOBS; index++)
          while (!saved(index)) await new Promise((next) => setTimeout(next, 1))
        return (SMALL_JOBS * 1_000) / (performance.now() - began) / CALLS_PER_SECOND
      }),
    )
    await reducto.stop()
  }
  row('small jobs saved a second, eight places, against Reducto’s limit of 200 calls', '≥ 1', values, (x) => x >= 1)
}

async function memory(): Promise<void> {
  const values: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const reducto = await startHelper('reducto.ts', ['large', String(1024 ** 3)])
    const env = await settings({
      REDUCTO_BASE_URL: reducto.url,
      REDUCTO_API_KEY: reducto.info.apiKey!,
      WORKER_CONCURRENCY: '8',
    })
    const record = join(env.RESULTS_URL!.slice('file:'.length), `large-${run}`, 'record.json')
    values.push(
      await during(startReceiver(env), async (server) => {
        // Idle after some work, as a service is: what is loaded at first use is loaded.
        for (let index = 0; index < 50; index++) await send(server, '{"success":true}')
        await new Promise((next) => setTimeout(next, 1_000))
        const idle = residentSize(server)
        let most = 0
        await deliver(server, `large-${run}`)
        while (!statSync(record, { throwIfNoEntry: false })) {
          most = Math.max(most, residentSize(server))
          await new Promise((next) => setTimeout(next, 50))
        }
        return (most - idle) / 1024 ** 2
      }),
    )
    rmSync(join(env.RESULTS_URL!.slice('file:'.length)), { recursive: true, force: true })
    await reducto.stop()
  }
  row(
    'memory while saving a 1 GiB result by URL and scanning it, above idle',
    '≤ 96 MiB',
    values,
    (x) => x <= 96,
    'MiB',
  )
}

function residentSize({ child }: Running): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024
}

const ALL = {
  againstOwn,
  acknowledging,
  scraped,
  grouping,
  alone,
  million,
  duringCheckpoint,
  whileDownloading,
  searching,
  toResult,
  smallJobs,
  memory,
} as const

process.stdout.write(
  `${RUNS} runs each; load from ${generator}; Node ${process.version}\n\n| What | Target | Median | Spread | |\n|---|---|---|---|---|\n`,
)
try {
  for (const [name, run] of Object.entries(ALL)) if (wanted.length === 0 || wanted.includes(name)) await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
