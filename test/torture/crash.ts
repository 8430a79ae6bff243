import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { JobRecord } from '../../src/results/record.ts'
import { newSecret } from '../../src/signing.ts'
import type { Kind } from '../../src/simulator/documents/documents.ts'
import { type Reducto, startReducto } from '../../src/simulator/reducto.ts'
import { createSvix, type Svix } from '../../src/simulator/svix.ts'
import { freePort } from '../support/port.ts'
import { startBucket } from './bucket.ts'
import { end, PATIENCE, ready, start } from './child.ts'
import { afterPowerCut, compileShim, takeForSynced } from './power-loss.ts'

/**
 * The real process is killed at random moments under load, or loses its power, and started again. What was promised is
 * then looked for. Used by the test suite for some rounds, and by `npm run torture` for thousands.
 */

export type Damage = { readonly acknowledged: number; readonly done: number; readonly problems: readonly string[] }

const BAD_HANDLER = resolve(import.meta.dirname, 'handler.ts')
const KINDS: readonly Kind[] = ['parse', 'parse-url', 'pipeline', 'edit', 'classify', 'extract']
/** Jobs that are delivered in each life. */
const JOBS = 12

type World = {
  readonly folder: string
  readonly data: string
  readonly reducto: Reducto
  readonly svix: Svix
  readonly env: Record<string, string>
  /** What a result's file is called on the disk of its store: a bucket's server adds an ending. */
  readonly fileOf: (data: string, jobId: string, path: string) => string
  /** Job id → the message that announced it. */
  readonly jobs: Map<string, string>
  readonly refetched: string[]
  stop(): Promise<void>
}

async function createWorld({ onS3 = false } = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-torture-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  const refetched: string[] = []
  const bucket = onS3 ? await startBucket(folder) : null
  const fileOf: World['fileOf'] = (root, jobId, path) =>
    bucket?.fileOf(jobId, path) ?? join(root, 'results', jobId, path)
  const reducto = await startReducto({
    onFetch(jobId) {
      if (existsSync(fileOf(data, jobId, 'record.json'))) refetched.push(jobId)
    },
  })
  const secret = newSecret()
  const port = await freePort()
  // Retries within seconds rather than hours: a delivery that met a dead process comes again in this run.
  const svix = createSvix({ speed: 500 })
  svix.addEndpoint({ url: `http://127.0.0.1:${port}/webhook`, secret })
  const env = {
    PATH: process.env.PATH!,
    HOST: '127.0.0.1',
    PORT: String(port),
    SVIX_WEBHOOK_SECRET: secret,
    REDUCTO_API_KEY: reducto.apiKey,
    REDUCTO_BASE_URL: reducto.url,
    DOWNLOAD_ALLOW_PRIVATE_HOSTS: '127.0.0.1',
    DATABASE_URL: `sqlite:${join(data, 'receiver.db')}`,
    RESULTS_URL: `file:${join(data, 'results')}`,
    MIN_FREE_DISK: '0',
    SHUTDOWN_GRACE: '1s',
    LOG_LEVEL: 'error',
    ...bucket?.env,
  }
  return {
    folder,
    data,
    reducto,
    svix,
    env,
    fileOf,
    jobs: new Map(),
    refetched,
    async stop() {
      await svix.stop()
      await reducto.stop()
      await bucket?.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * Kills the process `kills` times with SIGKILL, at any moment from its start on, then lets it finish. `withHandler`: it
 * hands results to a handler that fails at random, and kills the process too. `onS3`: results go to a bucket.
 */
export async function crash(kills: number, { withHandler = false, onS3 = false } = {}): Promise<Damage> {
  const world = await createWorld({ onS3 })
  const taken = join(world.folder, 'taken')
  const env = withHandler ? { ...world.env, HANDLER: BAD_HANDLER, TAKEN_FILE: taken } : world.env
  try {
    for (let life = 0; life < kills; life++) {
      const child = start(env)
      const whileStarting = Math.random() < 0.2
      if (whileStarting) await delay(Math.random() * 500)
      else if (await ready(env, child, { mayEnd: withHandler })) {
        deliverSome(world)
        await delay(Math.random() * 300)
      }
      await end(child, 'SIGKILL')
    }
    await finish(world, env, { mayEnd: withHandler })
    const problems = [
      ...check(world, world.data),
      ...world.refetched.map((job) => `${job} was fetched after it was done`),
      ...(withHandler ? notTaken(world, taken) : []),
    ]
    return { acknowledged: acknowledged(world).size, done: world.jobs.size, problems }
  } finally {
    await world.stop()
  }
}

/**
 * Lets the service run, and starts it again when it may end, until all is done. A job that happened to run alone whenever
 * the process was killed is dead, as one is that kills it: a person presses Resend.
 */
async function finish(world: World, env: Record<string, string>, { mayEnd }: { mayEnd: boolean }): Promise<void> {
  const deadline = Date.now() + PATIENCE
  const isOver = () => [...states(world.data)].every(([, state]) => state === 'done')
  for (;;) {
    const child = start(env)
    const exited = once(child, 'exit')
    if (await ready(env, child, { mayEnd })) {
      await Promise.race([world.svix.settled(), exited])
      for (const [jobId, state] of states(world.data))
        if (state === 'dead') await world.svix.resend(world.jobs.get(jobId)!)
      while (child.exitCode === null && child.signalCode === null && !isOver() && Date.now() < deadline) await delay(50)
    }
    const ended = child.exitCode !== null || child.signalCode !== null
    if (ended && mayEnd && !isOver() && Date.now() < deadline) continue
    return end(child, 'SIGTERM')
  }
}

/** Jobs that are done although the handler never took them. */
function notTaken(world: World, file: string): string[] {
  const taken = new Set(readFileSync(file, 'utf8').split('\n'))
  const done = [...states(world.data)].filter(([, state]) => state === 'done')
  return done.flatMap(([jobId]) => (taken.has(jobId) ? [] : [`${jobId} is done, and was not handed over`]))
}

/**
 * Cuts the power once, under load: what had been synced by then must hold everything that was acknowledged, and the whole
 * result of every job that was settled. Null where there is no C compiler.
 */
export async function powerCut(): Promise<Damage | null> {
  const world = await createWorld()
  try {
    const shim = compileShim(world.folder)
    if (!shim) return null
    // A first start makes the database; from then on every name must be synced to count.
    const first = start(world.env)
    await ready(world.env, first)
    await end(first, 'SIGTERM')
    const shadow = join(world.folder, 'shadow')
    mkdirSync(shadow)
    takeForSynced(world.data, shadow)
    const { ino } = statSync(world.data)

    const child = start({ ...world.env, LD_PRELOAD: shim, POWER_ROOT: world.data, POWER_SHADOW: shadow })
    await ready(world.env, child)
    for (let wave = 0; wave < 4; wave++) {
      deliverSome(world)
      await delay(Math.random() * 120)
    }
    // A busy machine may not have answered yet: then the cut would show nothing.
    while (acknowledged(world).size === 0) await delay(5)
    await end(child, 'SIGKILL')
    await world.svix.stop()

    const survived = join(world.folder, 'survived')
    afterPowerCut(shadow, ino, survived)
    const problems = check(world, survived)
    const env = {
      ...world.env,
      DATABASE_URL: `sqlite:${join(survived, 'receiver.db')}`,
      RESULTS_URL: `file:${join(survived, 'results')}`,
    }
    const again = start(env)
    await ready(env, again)
    await allDone(world, survived)
    await end(again, 'SIGTERM')
    problems.push(...check(world, survived))
    return { acknowledged: acknowledged(world).size, done: states(survived).size, problems }
  } finally {
    await world.stop()
  }
}

function deliverSome({ reducto, svix, jobs }: World): void {
  for (let index = 0; index < JOBS; index++) {
    const jobId = reducto.addJob({ kind: KINDS[index % KINDS.length]!, metadata: { index } })
    jobs.set(jobId, svix.send({ status: 'Completed', job_id: jobId, metadata: { index } }))
  }
}

/** The jobs of which a delivery was answered with a 2xx. */
function acknowledged({ svix, jobs }: World): Set<string> {
  const ids = new Set(
    svix
      .attempts()
      .filter(({ status }) => status === 200)
      .map(({ payload }) => JSON.parse(payload).job_id),
  )
  return new Set([...jobs.keys()].filter((jobId) => ids.has(jobId)))
}

function states(data: string): Map<string, string> {
  const db = new DatabaseSync(join(data, 'receiver.db'))
  try {
    const { integrity_check } = db.prepare('PRAGMA integrity_check').get() as { integrity_check: string }
    if (integrity_check !== 'ok') throw new Error(`the database is corrupt: ${integrity_check}`)
    const rows = db.prepare('SELECT job_id, state FROM job').all() as { job_id: string; state: string }[]
    return new Map(rows.map((row) => [row.job_id, row.state]))
  } finally {
    db.close()
  }
}

/** Why a job ended, as `jobs show` would tell it. */
function reasonOf(data: string, jobId: string): string {
  using db = new DatabaseSync(join(data, 'receiver.db'), { readOnly: true })
  const row = db.prepare('SELECT stage, crashes, reason_code, reason_message FROM job WHERE job_id = ?').get(jobId)
  return JSON.stringify(row)
}

async function allDone(world: World, data: string): Promise<void> {
  const deadline = Date.now() + PATIENCE
  const open = () => [...acknowledged(world)].filter((jobId) => !existsSync(world.fileOf(data, jobId, 'record.json')))
  while (open().length > 0 && Date.now() < deadline) await delay(50)
}

/** What is missing or broken in `data`, of what was promised to `world`. */
function check(world: World, data: string): string[] {
  const problems: string[] = []
  const recorded = states(data)
  for (const jobId of acknowledged(world))
    if (!recorded.has(jobId)) problems.push(`${jobId} was acknowledged and is lost`)
  for (const [jobId, state] of recorded) {
    if (state === 'dead') problems.push(`${jobId} is dead: ${reasonOf(data, jobId)}`)
    if (existsSync(world.fileOf(data, jobId, 'record.json')))
      problems.push(...checkResult((path) => world.fileOf(data, jobId, path), jobId))
    else if (state === 'done') problems.push(`${jobId} is done without a record`)
  }
  return problems
}

/** What is missing or broken of a saved result. */
export function checkResult(fileOf: (path: string) => string, jobId: string): string[] {
  try {
    const record = JSON.parse(readFileSync(fileOf('record.json'), 'utf8')) as JobRecord
    const lines = readFileSync(fileOf(record.files.path), 'utf8').split('\n').filter(Boolean)
    const files = [record.job, record.files, ...lines.map((line) => JSON.parse(line))]
    const broken = files.filter(({ path, sha256 }) => digest(fileOf(path)) !== sha256)
    if (!record.complete || lines.length !== record.files.count) return [`${jobId} is not complete`]
    return broken.map(({ path }) => `${jobId} is half-written: ${path}`)
  } catch (error) {
    return [`${jobId} is half-written: ${(error as Error).message}`]
  }
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
