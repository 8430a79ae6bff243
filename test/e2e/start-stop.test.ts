import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** Signals, and starts that do not come to an end: with real processes. */

const ROOT = resolve(import.meta.dirname, '../..')

async function settings(more: Record<string, string> = {}) {
  const folder = tempFolder()
  const reducto = await testReducto()
  const port = await freePort()
  const secret = newSecret()
  const env: Record<string, string> = {
    ...testEnv(folder, reducto, secret),
    PORT: String(port),
    SHUTDOWN_GRACE: '2s',
    ...more,
  }
  return { folder, reducto, secret, env, url: `http://127.0.0.1:${port}` }
}

/** A service with a job whose fetch never ends, so that a stop takes as long as it may. */
async function busy(grace: string) {
  const { reducto, secret, env, url } = await settings({ SHUTDOWN_GRACE: grace })
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  const jobId = reducto.addJob()
  reducto.fail(jobId, { is: 'stall' })
  const fetching = reducto.nextFetch(jobId)
  const body = JSON.stringify({ status: 'Completed', job_id: jobId })
  await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body, `msg_${randomUUID()}`), body })
  await fetching
  return Object.assign(service, { jobId, database: env.DATABASE_URL!.slice('sqlite:'.length), env, reducto })
}

/** How often the process died while the job ran, as the inbox counts it after a start. */
async function crashesAfterStart({ env, database, jobId, reducto }: Awaited<ReturnType<typeof busy>>): Promise<number> {
  // It is fetched again at once: only what the start counted shows.
  reducto.fail(jobId, { is: 'stall' })
  const again = spawnReceiver(['serve'], env)
  const fetching = reducto.nextFetch(jobId)
  await again.line(isReady)
  await fetching
  const db = new DatabaseSync(database, { readOnly: true })
  onTestFinished(() => db.close())
  return (db.prepare('SELECT crashes FROM job WHERE job_id = ?').get(jobId) as { crashes: number }).crashes
}

/** Sends a signal again and again, until the process has ended. */
function keepSending(service: RealProcess, signal: NodeJS.Signals): void {
  const timer = setInterval(() => service.child.kill(signal), 50)
  onTestFinished(() => clearInterval(timer))
}

const isStopping = (line: { msg?: string }) => line.msg === 'stopping'

describe('signals', () => {
  it.each([
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGINT'],
  ] as const)('%s and %s soon after it are one wish: it stops in peace, exit 0', async (first, second) => {
    const service = await busy('3s')
    service.child.kill(first)
    // As through npm: soon, but late enough to be a signal of its own.
    setTimeout(() => service.child.kill(second), 50)
    expect(await service.exited).toBe(0)
    expect(service.lines.some((line) => line.msg === 'stopped')).toBe(true)
    expect(service.lines.filter(isStopping)).toHaveLength(1)
  })

  it('one more than a second later ends it at once, exit 1', async () => {
    const service = await busy('10m')
    const began = performance.now()
    keepSending(service, 'SIGTERM')
    expect(await service.exited).toBe(1)
    expect(performance.now() - began).toBeGreaterThan(1_000)
    expect(service.lines.some((line) => line.msg === 'stopped')).toBe(false)
    // What ran was interrupted: nobody counts it as a crash.
    expect(await crashesAfterStart(service)).toBe(0)
  })

  it('that nobody can hear are a crash', async () => {
    const service = await busy('10m')
    await service.end('SIGKILL')
    expect(await crashesAfterStart(service)).toBe(1)
  })

  it('end a demo the same way', async () => {
    const demo = spawnReceiver(['demo'])
    await vi.waitFor(() => expect(demo.output()).toMatch('Ctrl-C ends it'), { timeout: 30_000 })
    demo.child.kill('SIGINT')
    // As through npm: soon, but late enough to be a signal of its own.
    setTimeout(() => demo.child.kill('SIGINT'), 50)
    expect(await demo.exited).toBe(0)
    expect(demo.output()).toMatch(/jobs done/)
  })
})

describe('npm start', () => {
  it.each(['start', 'demo'])('npm run %s that is told to stop takes the service with it', async (script) => {
    const { env, url } = await settings({ SHUTDOWN_GRACE: '0ms' })
    const npm = spawn('npm', ['run', script], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      // A group of its own, of which only npm gets the signal.
      detached: true,
    })
    const exited = new Promise((done) => npm.once('close', done))
    onTestFinished(() => {
      try {
        process.kill(-npm.pid!, 'SIGKILL')
      } catch {
        // All of it has ended.
      }
    })
    const found = Promise.withResolvers<string>()
    createInterface({ input: npm.stdout }).on('line', (line) => {
      if (/"msg":"ready"/.test(line)) found.resolve(url)
      const demo = /listens on (http\S+), /.exec(line)?.[1]
      if (demo) found.resolve(demo)
    })
    const address = await found.promise
    expect((await fetch(`${address}/healthz`)).status).toBe(200)
    npm.kill('SIGTERM')
    // Its output is closed when the last process that holds it has ended.
    await exited
    await vi.waitFor(() => expect(fetch(`${address}/healthz`)).rejects.toThrow(), { timeout: 10_000 })
  })
})

describe('a handler', () => {
  async function withHandler(code: string, more: Record<string, string> = {}) {
    const world = await settings(more)
    const handler = join(world.folder, 'handler.mjs')
    writeFileSync(handler, code)
    return { ...world, handler, service: spawnReceiver(['serve'], { ...world.env, HANDLER: handler }) }
  }

  it('that never ends to load is named, exit 78', async () => {
    const { service, handler } = await withHandler('await new Promise(() => {}); export default () => {}', {
      HANDLER_TIMEOUT: '1s',
    })
    expect(await service.line((line) => line.handler === handler)).toMatchObject({
      msg: expect.stringContaining('HANDLER'),
    })
    expect(await service.exited).toBe(78)
    expect(service.output()).toMatch(/HANDLER: .*handler\.mjs was not loaded within 1000 ms \(HANDLER_TIMEOUT\)/)
    expect(service.output()).not.toMatch(/bin\.js|unsettled/)
  })

  it('the same in receiver handle', async () => {
    const { handler } = await withHandler('await new Promise(() => {}); export default () => {}')
    const tried = spawnReceiver(['handle', handler], { HANDLER_TIMEOUT: '5s' })
    expect(await tried.exited).toBe(1)
    expect(tried.output()).toMatch(/handler\.mjs was not loaded within 5000 ms/)
  })

  it('that loads slowly does not keep a signal from ending the start, exit 0', async () => {
    const { service, handler } = await withHandler(
      'await new Promise((done) => setTimeout(done, 60_000)); export default () => {}',
    )
    await service.line((line) => line.handler === handler)
    expect(await service.end('SIGTERM')).toBe(0)
    expect(service.lines.map(({ msg }) => msg)).toEqual(['starting; loads HANDLER', 'stopping', 'stopped'])
  })

  it('that blocks while it loads, so that no timer and no signal is heard, is named and killed', async () => {
    const { service, handler } = await withHandler('for (;;);', { HANDLER_TIMEOUT: '1s' })
    expect(await service.line((line) => line.handler === handler)).toMatchObject({ msg: 'starting; loads HANDLER' })
    await service.exited
    expect(service.child.signalCode).toBe('SIGKILL')
    expect(service.output()).toMatch(/HANDLER: .*handler\.mjs blocked the start for longer than 1000 ms/)
  })

  it('that takes its time within HANDLER_TIMEOUT is waited for, as is what comes after it', async () => {
    const { env } = await settings()
    const first = spawnReceiver(['serve'], env)
    await first.line(isReady)
    const handler = join(tempFolder(), 'handler.mjs')
    writeFileSync(handler, 'export default () => {}')
    const second = spawnReceiver(['serve'], { ...env, PORT: '0', HANDLER: handler, HANDLER_TIMEOUT: '1s' })
    const waiting = await second.line((line) => String(line.msg).includes('another service holds the database'))
    // Longer than the handler's time: what is watched is this process's thread, not the start.
    await vi.waitFor(() => expect(Date.now() - Number(waiting.time)).toBeGreaterThan(2_500), { timeout: 10_000 })
    await first.end('SIGKILL')
    await second.line(isReady)
    expect(await second.end('SIGTERM')).toBe(0)
  })

  it.each([
    [0, 1],
    [3, 3],
  ])('that calls process.exit(%i) while it loads leaves its log, and no success', async (code, exit) => {
    const { service } = await withHandler(`process.exit(${code})`)
    expect(await service.exited).toBe(exit)
    expect(service.lines.at(-1)).toMatchObject({ level: 60, code, msg: expect.stringContaining('handler') })
  })

  it('that calls process.exit when it is called leaves the whole log', async () => {
    const { service, reducto, secret, url } = await withHandler('export default () => process.exit(0)')
    await service.line(isReady)
    const body = JSON.stringify({ status: 'Completed', job_id: reducto.addJob() })
    await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    expect(await service.exited).toBe(1)
    expect(service.lines.map(({ msg }) => msg)).toContain('delivery')
    expect(service.lines.at(-1)).toMatchObject({ level: 60, msg: expect.stringContaining('ended the process') })
  })
})
