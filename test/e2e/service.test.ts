import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { createSvix } from '../../src/simulator/svix.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** The real process, started as a user starts it, against a simulated Svix and Reducto over real sockets. */

async function world(more: Record<string, string> = {}, simulated?: Reducto) {
  const reducto = simulated ?? (await testReducto())
  const folder = tempFolder()
  const secret = newSecret()
  const port = await freePort()
  const env: Record<string, string> = {
    ...testEnv(folder, reducto, secret),
    PORT: String(port),
    SHUTDOWN_GRACE: '2s',
    ...more,
  }
  const url = `http://127.0.0.1:${port}`
  const start = async (): Promise<RealProcess> => {
    const started = spawnReceiver(['serve'], env)
    await started.line(isReady)
    return started
  }
  return { reducto, folder, secret, env, url, start }
}

function record(folder: string, jobId: string) {
  return JSON.parse(readFileSync(join(folder, 'results', jobId, 'record.json'), 'utf8'))
}

describe('many copies at once', () => {
  it('200 copies of one delivery on 50 connections: one delivery, one job, one fetch, 200 answers with 200', async () => {
    const { reducto, folder, secret, url, start } = await world()
    const service = await start()
    const jobId = reducto.addJob()
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    const headers = signed(secret, body)
    const agent = new Agent({ keepAlive: true, maxSockets: 50 })
    onTestFinished(() => agent.destroy())
    const statuses = await Promise.all(Array.from({ length: 200 }, () => post(`${url}/webhook`, headers, body, agent)))
    expect(statuses.filter((status) => status === 200)).toHaveLength(200)
    await service.line((line) => line.msg === 'job' && line.jobId === jobId)
    expect(await service.end('SIGTERM')).toBe(0)

    const deliveries = service.lines.filter((line) => line.msg === 'delivery')
    expect(deliveries.filter((line) => line.outcome === 'accepted')).toHaveLength(1)
    expect(deliveries.filter((line) => line.outcome === 'duplicate')).toHaveLength(199)
    expect(reducto.fetches.get(jobId)).toBe(1)
    const db = new DatabaseSync(join(folder, 'receiver.db'))
    expect(
      db.prepare('SELECT (SELECT COUNT(*) FROM delivery) deliveries, (SELECT COUNT(*) FROM job) jobs').get(),
    ).toEqual({
      deliveries: 1,
      jobs: 1,
    })
    db.close()
  })
})

describe('killed in the middle of its work, and started again', () => {
  it('every acknowledged job ends with a complete record, nothing half-written, nothing fetched after it is done', async () => {
    let folder = ''
    const fetchedAfterDone: string[] = []
    const reducto = await testReducto({
      onFetch(jobId) {
        if (existsSync(join(folder, 'results', jobId, 'record.json'))) fetchedAfterDone.push(jobId)
      },
    })
    const here = await world({}, reducto)
    folder = here.folder
    const svix = createSvix({ speed: 100 })
    onTestFinished(() => svix.stop())
    svix.addEndpoint({ url: `${here.url}/webhook`, secret: here.secret })
    const jobs: string[] = []
    for (let life = 0; life < 6; life++) {
      const service = await here.start()
      for (let job = 0; job < 12; job++) {
        const jobId = reducto.addJob({ kind: job % 2 ? 'parse-url' : 'pipeline', metadata: { life, job } })
        jobs.push(jobId)
        svix.send({ status: 'Completed', job_id: jobId, metadata: { life, job } })
      }
      // Somewhere between the first acknowledgement and the last saved file.
      await reducto.nextFetch(jobs.at(-1 - life)!)
      await service.end('SIGKILL')
    }
    await here.start()
    await svix.settled()
    await vi.waitFor(
      () => expect(jobs.filter((jobId) => !existsSync(join(folder, 'results', jobId, 'record.json')))).toEqual([]),
      {
        timeout: 30_000,
        interval: 50,
      },
    )
    for (const jobId of jobs) {
      const { complete, files } = record(folder, jobId)
      expect({ complete, files }).toMatchObject({ complete: true, files: { count: 5, failed: 0 } })
      const lines = readFileSync(join(folder, 'results', jobId, 'files.jsonl'), 'utf8')
        .trim()
        .split('\n')
      for (const line of lines) {
        const { path, bytes } = JSON.parse(line)
        expect(readFileSync(join(folder, 'results', jobId, path)).length).toBe(bytes)
      }
    }
    expect(fetchedAfterDone).toEqual([])
  })
})

describe('SIGTERM', () => {
  it('is unready at once, takes deliveries for a moment, lets a running job end, and exits 0', async () => {
    const { reducto, folder, secret, url, start } = await world({ SHUTDOWN_GRACE: '4s' })
    const service = await start()
    const jobId = reducto.addJob()
    reducto.fail(jobId, { is: 'slow', ms: 500 })
    const fetching = reducto.nextFetch(jobId)
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    await post(`${url}/webhook`, signed(secret, body), body)
    await fetching
    const exit = service.end('SIGTERM')
    await vi.waitFor(async () =>
      expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ not_ready: ['draining'] }),
    )
    const late = JSON.stringify({ status: 'Completed', job_id: randomUUID() })
    const answer = await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, late), body: late })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('connection')).toBe('close')
    expect(await exit).toBe(0)
    expect(record(folder, jobId).complete).toBe(true)
    expect(service.lines.some((line) => line.outcome === 'interrupted')).toBe(false)
  })

  it('a signal more than a second later ends it at once, and nothing is lost', async () => {
    const { reducto, folder, secret, url, start } = await world({ SHUTDOWN_GRACE: '10m' })
    const service = await start()
    const jobId = reducto.addJob()
    reducto.fail(jobId, { is: 'stall' })
    const fetching = reducto.nextFetch(jobId)
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    await post(`${url}/webhook`, signed(secret, body), body)
    await fetching
    service.child.kill('SIGTERM')
    await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503))
    const again = setInterval(() => service.child.kill('SIGTERM'), 50)
    onTestFinished(() => clearInterval(again))
    expect(await service.exited).toBe(1)
    const next = await start()
    await next.line((line) => line.msg === 'job' && line.jobId === jobId && line.state === 'done')
    expect(record(folder, jobId).complete).toBe(true)
  })
})

describe('two services on one database', () => {
  it('the second waits, says so, and takes over when the first is gone', async () => {
    const { env, start } = await world()
    const first = await start()
    const port = await freePort()
    const second = spawnReceiver(['serve'], { ...env, PORT: String(port) })
    await second.line((line) => String(line.msg).includes('another service holds the database'))
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
    const unready = await fetch(`http://127.0.0.1:${port}/readyz`)
    expect([unready.status, await unready.json()]).toEqual([503, { not_ready: ['inbox_locked'] }])
    expect((await fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST' })).status).toBe(503)
    await first.end('SIGKILL')
    await second.line(isReady)
    expect(await second.end('SIGTERM')).toBe(0)
  })

  it('a signal ends the wait', async () => {
    const { env, start } = await world()
    await start()
    const second = spawnReceiver(['serve'], { ...env, PORT: '0' })
    await second.line((line) => String(line.msg).includes('another service holds the database'))
    expect(await second.end('SIGTERM')).toBe(0)
  })
})

describe('the log', () => {
  it('has one wide line for each delivery and each settled job, and no secret in it', async () => {
    const { reducto, secret, url, env, start } = await world()
    const service = await start()
    const jobId = reducto.addJob({ kind: 'parse-url' })
    const body = JSON.stringify({
      status: 'Completed',
      job_id: jobId,
      metadata: { secret_of_the_customer: 'metadata-sentinel' },
    })
    await post(`${url}/webhook`, signed(secret, body, 'msg_1'), body)
    expect(await service.line((line) => line.msg === 'delivery')).toMatchObject({
      level: 30,
      endpoint: 'default',
      svixId: 'msg_1',
      jobId,
      outcome: 'accepted',
      status: 'Completed',
      ms: expect.any(Number),
    })
    expect(await service.line((line) => line.msg === 'job')).toMatchObject({
      jobId,
      outcome: 'done',
      state: 'done',
      status: 'Completed',
      attempt: 1,
      files: 5,
      calls: 1,
    })
    await service.end('SIGTERM')
    for (const sentinel of [secret, env.REDUCTO_API_KEY!, 'metadata-sentinel', 'signature='])
      expect(service.output()).not.toContain(sentinel)
  })

  it('has at most ten lines a minute for one reason of refusals', async () => {
    const { url, start } = await world()
    const service = await start()
    for (let request = 0; request < 30; request++)
      await post(`${url}/webhook`, { 'svix-id': 'attacker-sentinel' }, '{}')
    await service.end('SIGTERM')
    // A minute may begin in between.
    expect(service.lines.filter((line) => line.msg === 'refused').length).toBeLessThanOrEqual(20)
    expect(service.lines.filter((line) => line.msg === 'refused').length).toBeGreaterThanOrEqual(10)
    expect(service.output()).not.toContain('attacker-sentinel')
  })
})

function post(url: string, headers: Record<string, string>, body: string, agent?: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'POST', headers, ...(agent ? { agent } : {}) }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
