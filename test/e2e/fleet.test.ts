import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { delivery, signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** Real services on one real PostgreSQL. */
async function openWorld(handler: string) {
  const postgres = await startPostgres({ fsync: true })
  onTestFinished(() => postgres.stop())
  const reducto = await testReducto()
  const [folder, secret] = [tempFolder(), newSecret()]
  const module = join(folder, 'handler.mjs')
  writeFileSync(module, handler)
  const client = new pg.Client({ connectionString: postgres.url })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end())

  async function spawn(more: Record<string, string> = {}): Promise<RealProcess & { readonly url: string }> {
    const port = await freePort()
    const env = { ...testEnv(folder, reducto, secret), PORT: String(port), DATABASE_URL: postgres.url, HANDLER: module }
    return { ...spawnReceiver(['serve'], { ...env, ...more }), url: `http://127.0.0.1:${port}` }
  }
  async function serve(more: Record<string, string> = {}) {
    const service = await spawn(more)
    await service.line(isReady)
    return service
  }
  async function deliver(url: string): Promise<string> {
    const jobId = reducto.addJob({ kind: 'extract' })
    const { body } = delivery(jobId)
    const response = await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    expect(response.status).toBe(200)
    return jobId
  }
  const jobOf = async (jobId: string) =>
    (await client.query('SELECT * FROM reducto_receiver.job WHERE job_id = $1', [jobId])).rows[0]
  return { postgres, spawn, serve, deliver, jobOf }
}

const handedOver = (jobId: string) => (line: { job?: unknown; msg?: string; stage?: unknown; outcome?: unknown }) =>
  line.msg === 'job' && line.stage === 'hand_over' && line.outcome === 'done' && Object.values(line).includes(jobId)

it('has what a killed service worked on done elsewhere within fifteen seconds', async () => {
  const { serve, deliver, jobOf } = await openWorld(
    `export default async () => { if (process.env.HANGS) { console.log('{"msg":"hangs"}'); await new Promise(() => {}) } }`,
  )
  const receiver = await serve({ WORKER_CONCURRENCY: '0' })
  const dying = await serve({ HANGS: '1', HANDLER_TIMEOUT: '5m' })
  const jobId = await deliver(receiver.url)
  await dying.line(({ msg }) => msg === 'hangs')
  const other = await serve()
  const killed = performance.now()
  await dying.end('SIGKILL')
  await other.line(handedOver(jobId))
  expect(performance.now() - killed).toBeLessThan(15_000)
  expect(await jobOf(jobId)).toMatchObject({ state: 'done' })
}, 60_000)

it('leaves its jobs to a service whose handler blocks the event loop for longer than it takes to be dead', async () => {
  const { serve, deliver, jobOf } = await openWorld(
    `export default async () => { console.log('{"msg":"blocks"}'); const end = Date.now() + 16_000; while (Date.now() < end); }`,
  )
  const blocked = await serve()
  const jobId = await deliver(blocked.url)
  await blocked.line(({ msg }) => msg === 'blocks')
  const other = await serve()
  await blocked.line(handedOver(jobId))
  expect(other.lines.filter(({ msg }) => msg === 'blocks')).toEqual([])
  expect(await jobOf(jobId)).toMatchObject({ state: 'done', crashes: 0 })
}, 60_000)

it('starts while the database is away, is not ready, and goes on when it comes', async () => {
  const { postgres, spawn, deliver } = await openWorld('export default async () => {}')
  await postgres.kill('SIGKILL')
  const service = await spawn()
  await service.line(({ msg }) => msg?.includes('the database does not answer') ?? false)
  const unready = await fetch(`${service.url}/readyz`)
  expect([unready.status, await unready.json()]).toEqual([503, { not_ready: ['inbox'] }])
  await postgres.start()
  await service.line(isReady)
  const jobId = await deliver(service.url)
  await service.line(handedOver(jobId))
}, 60_000)
