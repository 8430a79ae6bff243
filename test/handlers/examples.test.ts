import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { testPostgres } from '../support/postgres.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { delivery, signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** Every example, in the real service as a user runs it. */

const postgres = testPostgres()

type Running = {
  readonly service: RealProcess
  readonly reducto: Reducto
  deliver(jobId: string, status?: string): Promise<Response>
  /** A command beside the running service, with its settings. */
  command(...args: string[]): RealProcess
}

async function run(example: string, env: Record<string, string>): Promise<Running> {
  const reducto = await testReducto()
  const secret = newSecret()
  const port = String(await freePort())
  const handler = `./handlers/examples/${example}.ts`
  const settings = { ...testEnv(tempFolder(), reducto, secret), PORT: port, HANDLER: handler, ...env }
  const service = spawnReceiver(['serve'], settings)
  await service.line(isReady)
  return {
    service,
    reducto,
    command: (...args) => spawnReceiver(args, settings),
    deliver(jobId, status = 'Completed') {
      const { body } = delivery(jobId, { status, metadata: { user_id: '123' } })
      return fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    },
  }
}

const settled = (jobId: string, outcome: string) => (line: Record<string, unknown>) =>
  line.msg === 'job' && line.jobId === jobId && line.outcome === outcome

describe('invoice-to-postgres', () => {
  it('upserts the fields of an invoice, also when it is called again', async () => {
    const { service, reducto, deliver, command } = await run('invoice-to-postgres', {
      INVOICES_DATABASE_URL: postgres.url,
    })
    const [classic, v3] = [reducto.addJob({ kind: 'extract' }), reducto.addJob({ kind: 'extract-v3' })]
    for (const jobId of [classic, v3]) {
      await deliver(jobId)
      await service.line(settled(jobId, 'done'))
    }
    const replay = command('jobs', 'replay', classic)
    expect(await replay.exited).toBe(0)
    expect(replay.output()).toContain('1 job will be handed over again')
    const saved = () => service.lines.filter(({ msg }) => msg === 'invoice saved').length
    await vi.waitFor(() => expect(saved()).toBe(3), { timeout: 10_000 })
    const client = new pg.Client({ connectionString: postgres.url })
    await client.connect()
    onTestFinished(() => client.end())
    const { rows } = await client.query('SELECT * FROM invoice ORDER BY job_id')
    expect(rows).toHaveLength(2)
    for (const row of rows)
      expect(row).toMatchObject({
        invoice_number: 'INV-2026-0042',
        supplier: 'Nordlicht GmbH',
        total: '1249.5',
        lines: [{ amount: 1050 }, { amount: 199.5 }],
      })
  })

  it('makes a job dead whose fields do not fit, and says which', async () => {
    const { service, reducto, deliver } = await run('invoice-to-postgres', { INVOICES_DATABASE_URL: postgres.url })
    const usage = { num_fields: 1 }
    const jobId = reducto.addJob({
      document: () => ({ type: 'Extract', result: { result: [{ total: 'many' }], citations: null, usage } }),
    })
    await deliver(jobId)
    const line = await service.line(settled(jobId, 'dead'))
    expect(line.reason).toMatchObject({ code: 'refused', message: expect.stringContaining('total: ') })
  })
})

it('chunks-to-jsonl: writes a line for each chunk, of a parse by URL too, and leaves other kinds alone', async () => {
  const folder = tempFolder()
  const { service, reducto, deliver } = await run('chunks-to-jsonl', { CHUNKS_FOLDER: folder })
  const ids = (['parse', 'parse-url', 'pipeline', 'classify'] as const).map((kind) => reducto.addJob({ kind }))
  for (const jobId of ids) {
    await deliver(jobId)
    await service.line(settled(jobId, 'done'))
  }
  for (const jobId of ids.slice(0, 3)) {
    const lines = readFileSync(join(folder, `${jobId}.jsonl`), 'utf8')
      .trim()
      .split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { id: `${jobId}/0`, text: expect.stringContaining('Annual report'), pages: [1], metadata: { user_id: '123' } },
      { id: `${jobId}/1`, pages: [2] },
    ])
  }
})

it('message-to-chat: tells of jobs that are done and of those that failed, and tries again while the chat is down', async () => {
  const messages: string[] = []
  const statuses = [503]
  const chat = createServer(async (request, response) => {
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString())
    const status = statuses.shift() ?? 200
    if (status === 200) messages.push(body.text)
    response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => chat.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void chat.close().closeAllConnections())
  const url = `http://127.0.0.1:${(chat.address() as AddressInfo).port}`
  const { service, reducto, deliver } = await run('message-to-chat', { CHAT_WEBHOOK_URL: url })
  const done = reducto.addJob({ kind: 'edit' })
  await deliver(done)
  expect(await service.line(settled(done, 'retry'))).toMatchObject({
    stage: 'hand_over',
    reason: { code: 'handler', message: 'the chat answered 503' },
  })
  await service.line(settled(done, 'done'))
  const failed = reducto.addJob({ status: 'Failed', reason: 'The document is empty' })
  await deliver(failed, 'Failed')
  await service.line(settled(failed, 'done'))
  expect(messages).toEqual([`✅ Edit ${done}: done, 1 files saved`, expect.stringContaining('The document is empty')])
  expect(reducto.fetches.get(done)).toBe(1)
})
