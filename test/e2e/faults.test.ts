import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { newMessageId, newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { fillUp, smallDisk } from '../support/small-disk.ts'
import { tempFolder } from '../support/temp.ts'

/** Disks, files and clients that fail, against the real process. */

async function start(folder: string, more: Record<string, string> = {}) {
  const reducto = await testReducto()
  const secret = newSecret()
  const env: Record<string, string> = { ...testEnv(folder, reducto, secret), PORT: String(await freePort()), ...more }
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  const url = `http://127.0.0.1:${env.PORT}`
  const deliver = async (jobId: string) => {
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    const response = await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    return response.status
  }
  const readyz = async () => (await fetch(`${url}/readyz`)).json()
  return { reducto, secret, env, service, url, deliver, readyz }
}

describe('a full disk', () => {
  it('is a 503 for deliveries; nothing acknowledged is lost, and it goes on by itself when there is room', async (context) => {
    const disk = smallDisk(16)
    if (!disk) return context.skip('cannot mount')
    const { deliver, readyz, service, url, secret } = await start(disk, { WORKER_CONCURRENCY: '0' })
    const acknowledged: string[] = []
    for (let job = 0; job < 20; job++) if ((await deliver(`before-${job}`)) === 200) acknowledged.push(`before-${job}`)
    expect(acknowledged).toHaveLength(20)
    const filler = fillUp(disk)
    const statuses = new Set<number>()
    // The log has some room of its own; a large body needs more than that.
    for (let job = 0; job < 40; job++) {
      const body = JSON.stringify({ status: 'Completed', job_id: `full-${job}`, metadata: 'x'.repeat(200_000) })
      const response = await fetch(`${url}/webhook`, {
        method: 'POST',
        headers: signed(secret, body, newMessageId()),
        body,
      })
      statuses.add(response.status)
      if (response.status === 200) acknowledged.push(`full-${job}`)
    }
    expect(statuses).toContain(503)
    expect(await readyz()).toEqual({ not_ready: ['inbox'] })
    rmSync(filler)
    await vi.waitFor(async () => expect(await readyz()).toEqual({ status: 'ready' }), { timeout: 10_000 })
    expect(await deliver('after')).toBe(200)
    await service.end('SIGTERM')

    const { DatabaseSync } = await import('node:sqlite')
    const db = new DatabaseSync(join(disk, 'receiver.db'))
    const known = new Set(
      db
        .prepare('SELECT job_id FROM job')
        .all()
        .map((row) => row.job_id),
    )
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    db.close()
    for (const jobId of [...acknowledged, 'after']) expect(known, jobId).toContain(jobId)
  })

  it('for results alone: the worker pauses, deliveries are accepted, and jobs are saved when there is room', async (context) => {
    const disk = smallDisk(8)
    if (!disk) return context.skip('cannot mount')
    const folder = tempFolder()
    const filler = fillUp(disk, 64 * 1024)
    const { reducto, deliver, readyz, service } = await start(folder, {
      RESULTS_URL: `file:${disk}/results`,
      MIN_FREE_DISK: '1mb',
    })
    const jobId = reducto.addJob()
    await vi.waitFor(async () => expect(await readyz()).toMatchObject({ degraded: ['disk'] }), { timeout: 10_000 })
    expect(await deliver(jobId)).toBe(200)
    expect(reducto.fetches.size).toBe(0)
    rmSync(filler)
    // Looked at every 30 s.
    await service.line((line) => line.msg === 'job' && line.jobId === jobId && line.state === 'done')
    expect(existsSync(join(disk, 'results', jobId, 'record.json'))).toBe(true)
    expect(await service.end('SIGTERM')).toBe(0)
  })
})

describe('a results folder that became read-only', () => {
  it('pauses the worker and says so', async (context) => {
    const disk = smallDisk(8)
    if (!disk) return context.skip('cannot mount')
    const { deliver, readyz, service, reducto } = await start(tempFolder(), { RESULTS_URL: `file:${disk}/results` })
    execFileSync('mount', ['-o', 'remount,ro', disk])
    expect(await deliver(reducto.addJob())).toBe(200)
    await vi.waitFor(async () => expect(await readyz()).toMatchObject({ degraded: ['results'] }), { timeout: 10_000 })
    const paused = await service.line((line) => line.msg === 'degraded')
    expect(paused).toMatchObject({ cause: 'results', reason: expect.stringContaining('EROFS') })
    expect(await service.end('SIGTERM')).toBe(0)
  })
})

describe('a corrupt database', () => {
  async function corrupted(from: number, to: (size: number) => number) {
    const folder = tempFolder()
    const { env, service, deliver } = await start(folder, { WORKER_CONCURRENCY: '0' })
    for (let job = 0; job < 100; job++) await deliver(`job-${job}`)
    expect(await service.end('SIGTERM')).toBe(0)
    const path = join(folder, 'receiver.db')
    const bytes = readFileSync(path)
    bytes.fill(0x5a, from, to(bytes.length))
    writeFileSync(path, bytes)
    return { env, path, deliver }
  }

  it('whose beginning is damaged: refused at start, by name, with what to do', async () => {
    const { env, path } = await corrupted(0, () => 100)
    const again = spawnReceiver(['serve'], env)
    expect(await again.exited).toBe(78)
    expect(again.output()).toMatch(path)
    expect(again.output()).toMatch(/restore a backup/)
  })

  it('whose middle is damaged: nothing is acknowledged that cannot be kept, and the log says why', async () => {
    const { env, deliver } = await corrupted(4096, (size) => size)
    const again = spawnReceiver(['serve'], env)
    const ready = await again.line(isReady).catch(() => null)
    // SQLite finds a damaged page when it needs it: at start, or with the first delivery.
    if (ready === null) return expect(again.output()).toMatch(/restore a backup/)
    expect(await deliver('job-0')).toBe(503)
    expect(await deliver('new')).toBe(503)
    expect(await again.line((line) => line.msg === 'refused')).toMatchObject({
      cause: expect.stringContaining('malformed'),
    })
  })
})

describe('a log that cannot be written', () => {
  it('costs log lines and nothing else: deliveries are taken, and SIGTERM is heard', async () => {
    const folder = tempFolder()
    const reducto = await testReducto()
    const env: Record<string, string> = {
      ...testEnv(folder, reducto, newSecret()),
      PORT: String(await freePort()),
      PATH: process.env.PATH!,
    }
    const full = openSync('/dev/full', 'w')
    const service = spawn(process.execPath, [join(import.meta.dirname, '../../src/bin.js'), 'serve'], {
      env,
      stdio: ['ignore', full, full],
    })
    const exited = once(service, 'exit')
    onTestFinished(() => void service.kill('SIGKILL'))
    closeSync(full)
    const url = `http://127.0.0.1:${env.PORT}/webhook`
    await vi.waitFor(async () => expect((await fetch(url.replace('webhook', 'readyz'))).status).toBe(200), {
      timeout: 10_000,
    })
    for (let job = 0; job < 100; job++) {
      const body = JSON.stringify({ status: 'Completed', job_id: reducto.addJob({ kind: 'classify' }) })
      const response = await fetch(url, { method: 'POST', headers: signed(env.SVIX_WEBHOOK_SECRET!, body), body })
      expect(response.status).toBe(200)
    }
    service.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
  })
})

describe('clients that stall', () => {
  it('cost bounded memory, are answered with 408 or 503, and do not keep others out', async () => {
    const { service, url, deliver } = await start(tempFolder(), { WORKER_CONCURRENCY: '0' })
    const port = Number(new URL(url).port)
    const secret = newSecret()
    const resident = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${service.child.pid}/status`, 'utf8'))![1]) / 1024
    const idle = resident()
    const body = Buffer.alloc(1_000_000, 'x')
    const head = Object.entries({ ...signed(secret, ''), 'content-length': String(body.length + 1) })
      .map(([name, value]) => `${name}: ${value}`)
      .join('\r\n')
    // 150 MB in all, one byte short of complete each.
    const answers = Array.from({ length: 150 }, () => {
      return new Promise<string>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write(`POST /webhook HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n`)
          socket.write(body)
        })
        let answer = ''
        socket.on('data', (chunk) => {
          answer += chunk
        })
        socket.on('error', () => {})
        socket.on('close', () => resolve(answer))
      })
    })
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, resident())
    }, 20)
    onTestFinished(() => clearInterval(watch))
    const statuses = (await Promise.all(answers)).map((answer) => answer.slice(9, 12))
    expect(new Set(statuses.filter((status) => status !== ''))).toEqual(new Set(['408', '503']))
    expect(most - idle).toBeLessThan(200)
    expect(await deliver('after')).toBe(200)
  })
})

describe('secrets', () => {
  it('appear in no line of the log, no answer, no stored reason and no saved file but Reducto’s own answer', async () => {
    const folder = tempFolder()
    const sentinel = 'SENTINEL'
    // The user's service, which says too much when it fails.
    const statuses = [500]
    const user = createServer((_request, response) => response.writeHead(statuses.shift() ?? 200).end(sentinel))
    await new Promise<void>((resolve) => user.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void user.close().closeAllConnections())
    const { reducto, env, service, url, deliver, secret } = await start(folder, {
      DIRECT_WEBHOOK_TOKEN: `direct-${sentinel}-token-of-24-characters`,
      SVIX_WEBHOOK_SECRET_OTHER: newSecret(),
      FORWARD_URL: `http://127.0.0.1:${(user.address() as AddressInfo).port}/hook?token=${sentinel}`,
      FORWARD_SECRET: newSecret(),
      PUBLIC_URL: 'https://receiver.example',
      AWS_SECRET_ACCESS_KEY: `aws-${sentinel}`,
      LOG_LEVEL: 'trace',
    })
    const secrets = [
      secret,
      env.SVIX_WEBHOOK_SECRET_OTHER!,
      env.DIRECT_WEBHOOK_TOKEN!,
      env.REDUCTO_API_KEY!,
      env.FORWARD_SECRET!,
      'signature=',
      sentinel,
    ]
    const jobs = [
      reducto.addJob({ kind: 'pipeline' }),
      reducto.addJob({ kind: 'parse' }),
      reducto.addJob(),
      reducto.addJob(),
    ]
    const [, missing, refused, broken] = jobs as [string, string, string, string]
    reducto.storage.fail(`${missing}/figure.png`, { status: 404 }, { status: 404 })
    const leak = `wrong key ${env.REDUCTO_API_KEY} for https://user:${sentinel}@host/x?signature=${sentinel}`
    reducto.fail(refused, { is: 'status', status: 403, body: { detail: leak } })
    reducto.fail(broken, { is: 'status', status: 500, body: { error: { message: leak } } })
    for (const jobId of jobs) await deliver(jobId)
    await fetch(`${url}/webhook/direct/${env.DIRECT_WEBHOOK_TOKEN}`, { method: 'POST', body: '{"success":true}' })
    await fetch(`${url}/webhook/direct/wrong-${sentinel}`, { method: 'POST', body: '{}' })
    await fetch(`${url}/webhook`, {
      method: 'POST',
      headers: { 'svix-id': sentinel, 'svix-signature': sentinel },
      body: sentinel,
    })
    for (const jobId of jobs)
      await service.line((line) => line.msg === 'job' && line.jobId === jobId && line.state === 'done')
    await service.end('SIGTERM')

    const { DatabaseSync } = await import('node:sqlite')
    const db = new DatabaseSync(join(folder, 'receiver.db'), { readOnly: true })
    const stored = JSON.stringify([
      db.prepare('SELECT * FROM job').all(),
      db.prepare('SELECT * FROM attempt').all(),
      db.prepare('SELECT * FROM delivery').all(),
    ])
    db.close()
    const saved = jobs.flatMap((jobId) =>
      ['record.json', 'files.jsonl'].map((name) => readFileSync(join(folder, 'results', jobId, name), 'utf8')),
    )
    expect(stored).toMatch('http_403')
    expect(stored).toMatch('forward_500')
    for (const text of [service.output(), stored, ...saved]) for (const one of secrets) expect(text).not.toContain(one)
    expect(reducto.storage.authorized).toBe(0)
  })
})
