import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newMessageId, newSecret, sign, signatureHeaders } from '../../src/signing.ts'
import { KINDS } from '../../src/simulator/documents/documents.ts'
import { type Reducto, startReducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { end, ready, start } from './child.ts'

/**
 * Many jobs of all kinds through one real process, with a way of handing over: what the process holds (memory, descriptors,
 * log) must not grow with the number of jobs. Used by the test suite for some hundred, and by `npm run soak` for thousands.
 */

export type Way = 'module' | 'forward'

/** What the process holds, when it is idle. `rss` and `log` in bytes. */
type Held = { readonly rss: number; readonly descriptors: number; readonly log: number }
export type Soaked = { readonly done: number; readonly early: Held; readonly late: Held }

/** Jobs under way at once: the simulator keeps each job's documents in memory. */
const WAVE = 100

export async function soak(jobs: number, way: Way): Promise<Soaked> {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-soak-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  const reducto = await startReducto()
  const secret = newSecret()
  const port = await freePort()
  const taker = await startTaker()
  const handing: Record<string, string> =
    way === 'module'
      ? { HANDLER: resolve(import.meta.dirname, '../support/handler.ts') }
      : {
          FORWARD_URL: `http://127.0.0.1:${(taker.address() as AddressInfo).port}/`,
          FORWARD_SECRET: newSecret(),
          PUBLIC_URL: `http://127.0.0.1:${port}`,
        }
  const env: Record<string, string> = {
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
    LOG_LEVEL: 'error',
    ...handing,
  }
  const child = start(env)
  try {
    await ready(env, child)
    let early: Held | null = null
    for (let done = 0; done < jobs; done += WAVE) {
      await wave(reducto, `http://127.0.0.1:${port}/webhook`, secret, join(data, 'receiver.db'))
      // Compiled code, caches and buffers have their size after a tenth of the jobs.
      if (early === null && done + WAVE >= jobs / 10) early = held(child.pid!, data)
    }
    return { done: countDone(join(data, 'receiver.db')), early: early!, late: held(child.pid!, data) }
  } finally {
    await end(child, 'SIGTERM')
    await reducto.stop()
    taker.close()
    taker.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A service of the user's that takes every forward. */
async function startTaker(): Promise<Server> {
  const taker = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(204).end())
  })
  taker.listen(0, '127.0.0.1')
  await once(taker, 'listening')
  return taker
}

/** Delivers a job of each kind by turns, waits until all are done, and lets the simulator forget them. */
async function wave(reducto: Reducto, url: string, secret: string, database: string): Promise<void> {
  const before = countDone(database)
  const ids = Array.from({ length: WAVE }, (_, index) => reducto.addJob({ kind: KINDS[index % KINDS.length]! }))
  for (const jobId of ids) {
    const body = JSON.stringify({ status: 'Completed', job_id: jobId, metadata: { id: randomUUID() } })
    const headers = signatureHeaders(sign(newMessageId(), new Date(), body, [secret]))
    const response = await fetch(url, { method: 'POST', headers, body })
    if (response.status !== 200) throw new Error(`a delivery was answered with ${response.status}`)
  }
  while (countDone(database) < before + WAVE) await new Promise((wait) => setTimeout(wait, 50))
  for (const jobId of ids) reducto.purge(jobId)
  reducto.storage.clear()
}

function countDone(database: string): number {
  const db = new DatabaseSync(database, { readOnly: true })
  try {
    const row = db.prepare(`SELECT value FROM counter WHERE name = 'job:done'`).get() as { value: number } | undefined
    return row?.value ?? 0
  } finally {
    db.close()
  }
}

function held(pid: number, data: string): Held {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return {
    rss: pages * 4096,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    log: statSync(join(data, 'receiver.db-wal')).size,
  }
}
