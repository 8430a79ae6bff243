import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { recordOf } from '../results/contract.ts'
import { faultyS3 } from '../support/faulty-s3.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { delivery, signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** `receiver jobs` and `receiver handle`, as an operator and an author use them, beside a running service. */

type Running = {
  readonly service: RealProcess
  readonly reducto: Reducto
  readonly folder: string
  deliver(jobId: string, refuse?: string): Promise<unknown>
  /** Runs a command with the service's settings: its output and exit code. */
  run(...args: string[]): Promise<{ output: string; code: number | null }>
  json(...args: string[]): Promise<Record<string, never> & { rows: Record<string, unknown>[] }>
}

/** Does as the metadata say. */
const HANDLER = resolve(import.meta.dirname, '../support/handler.ts')
const WALKER = resolve(import.meta.dirname, '../support/walker.ts')

async function start(more: Record<string, string> = {}): Promise<Running> {
  const folder = tempFolder()
  const reducto = await testReducto()
  const secret = newSecret()
  const port = String(await freePort())
  const env = { ...testEnv(folder, reducto, secret), PORT: port, HANDLER, ...more }
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  const run: Running['run'] = async (...args) => {
    const command = spawnReceiver(args, env)
    return { code: await command.exited, output: command.output() }
  }
  return {
    service,
    reducto,
    folder,
    async deliver(jobId, refuse) {
      const { body } = delivery(jobId, { metadata: { user: 'Ada', ...(refuse ? { refuse } : {}) } })
      await fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST', headers: signed(secret, body), body })
      await service.line((line) => line.msg === 'job' && line.jobId === jobId)
    },
    run,
    json: async (...args) => JSON.parse((await run(...args, '--json')).output),
  }
}

describe('jobs', () => {
  it('are listed and shown, in tables and as JSON', async () => {
    const { reducto, deliver, run, json } = await start()
    const [done, dead] = [reducto.addJob({ id: 'job-done', kind: 'edit' }), reducto.addJob({ id: 'job-dead' })]
    await deliver(done)
    await deliver(dead, 'no such customer')
    const all = await run('jobs', 'list', '--wide')
    expect(all.code).toBe(0)
    const lines = all.output.split('\n')
    expect(lines[0]).toMatch(/^JOB +STATE +CHANGED +TYPE +ENDPOINT +METADATA +REASON/)
    expect(lines[1]).toMatch(
      /^job-dead +dead, saved +\d+ s ago +Parse +default +user=Ada {2}refuse=no such customer +refused: no such customer/,
    )
    expect(lines[2]).toMatch(/^job-done +done +\d+ s ago +Edit +default +user=Ada/)
    const narrow = (await run('jobs', 'list')).output.split('\n')
    expect(narrow[1]).toMatch(/^job-dead +dead, saved +\d+ s ago +Parse$/)
    expect(narrow.slice(2, 4)).toEqual(['    user=Ada  refuse=no such customer', '    refused: no such customer'])
    expect((await json('jobs', 'list', '--state', 'dead')).rows).toMatchObject([
      {
        ...{ job_id: dead, stage: 'hand_over', updated_at: expect.stringMatching(/^\d{4}-.*Z$/) },
        metadata: { user: 'Ada', refuse: 'no such customer' },
      },
    ])
    expect(await json('jobs', 'list', '--limit', '1')).toMatchObject({
      next: expect.stringMatching(/^\d+$/),
      searched_to: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    expect((await run('jobs', 'list', '--error', 'nothing')).output).toBe('No job matches.\n')
    const shown = (await run('jobs', 'show', dead)).output
    for (const text of [
      /State +dead, saved/,
      /Reason +refused: no such customer/,
      /Result +Parse · Completed/,
      /Metadata +user=Ada/,
      /hand over +dead/,
    ])
      expect(shown).toMatch(text)
    expect(await json('jobs', 'show', done)).toMatchObject({
      job_id: done,
      record: { type: 'Edit' },
      attempts: [
        { task: 'hand_over', outcome: 'done', started_at: expect.stringMatching(/Z$/) },
        { task: 'fetch', outcome: 'saved' },
      ],
    })
  })

  it('dead ones are queued again, many or one, or only counted', async () => {
    const { service, reducto, deliver, run, json } = await start()
    for (const id of ['a', 'b', 'c']) await deliver(reducto.addJob({ id }), 'broken')
    expect((await run('jobs', 'retry', '--state', 'dead', '--since', '2h', '--dry-run')).output).toMatch(
      /^3 jobs would be queued again\n {2}c {2}dead, saved, refused: broken\n {2}b .*\n {2}a .*\nTo do it with these and no others, add: --until \S+Z --expect 3\n$/,
    )
    expect(await run('jobs', 'retry', '--state', 'dead', '--expect', '2')).toEqual({
      code: 1,
      output: '3 jobs match, not 2: look at them again with a dry run; nothing was done\n',
    })
    const handOvers = (id: string) =>
      service.lines.filter((line) => line.msg === 'job' && line.jobId === id && line.stage === 'hand_over')
    const times = (id: string, count: number) =>
      vi.waitFor(() => expect(handOvers(id)).toHaveLength(count), { timeout: 10_000 })
    expect((await run('jobs', 'retry', 'a', 'a')).output).toBe('1 job will be queued again\n')
    expect(await run('jobs', 'retry', 'nobody')).toEqual({
      code: 1,
      output: '0 jobs will be queued again\nnobody: there is no such job\n',
    })
    await times('a', 2)
    expect(await json('jobs', 'retry', '--error', 'refused')).toMatchObject({ jobs: 3, dry_run: false, skipped: [] })
    await Promise.all([times('b', 2), times('c', 2)])
    expect(reducto.fetches.get('b')).toBe(1)
  })

  it('done ones are replayed from what is saved; nothing is fetched, also when it is saved no more', async () => {
    const { service, reducto, folder, deliver, run } = await start()
    const [kept, lost] = [reducto.addJob({ id: 'kept' }), reducto.addJob({ id: 'lost' })]
    for (const jobId of [kept, lost]) await deliver(jobId)
    rmSync(join(folder, 'results', lost), { recursive: true })
    const replayed = await run('jobs', 'replay', '--status', 'Completed')
    expect(replayed.output).toContain('1 job will be handed over again')
    expect(replayed.output).toContain('1 have no saved result any more')
    const handled = () => service.lines.filter(({ msg }) => msg === 'handled').length
    await vi.waitFor(() => expect(handled()).toBe(3), { timeout: 10_000 })
    expect(Object.fromEntries(reducto.fetches)).toEqual({ kept: 1, lost: 1 })
  })

  it('are fetched anew when that is asked for', async () => {
    const { service, reducto, deliver, run } = await start()
    const jobId = reducto.addJob({ id: 'again' })
    await deliver(jobId)
    expect((await run('jobs', 'retry', jobId, '--refetch')).output).toBe('1 job will be queued again\n')
    await service.line(
      () => reducto.fetches.get(jobId) === 2 && service.lines.filter(({ msg }) => msg === 'handled').length === 2,
    )
  })

  it('are erased: result, metadata and bodies go, and nothing brings them back', async () => {
    const { reducto, deliver, run, json } = await start()
    const jobId = reducto.addJob({ id: 'secret' })
    await deliver(jobId)
    expect((await run('jobs', 'delete', jobId)).output).toBe('1 job erased: result, metadata and bodies\n')
    expect(await json('jobs', 'show', jobId)).toMatchObject({ state: 'done', reason: { code: 'erased' }, record: null })
    expect(await run('jobs', 'retry', jobId, '--refetch')).toMatchObject({
      code: 1,
      output: expect.stringContaining('secret: was erased, and cannot be queued again'),
    })
    const unknown = await run('jobs', 'delete', 'nobody')
    expect(unknown).toMatchObject({ code: 1, output: expect.stringContaining('nobody: there is no such job') })
  })

  it('are not called erased while a bucket does not let their files go', async () => {
    const s3 = await faultyS3()
    const { reducto, deliver, run, json } = await start({
      RESULTS_URL: `s3://results/p?endpoint=${s3.endpoint}`,
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    })
    const jobId = reducto.addJob({ id: 'secret' })
    await deliver(jobId)
    s3.fail(({ operation }) =>
      operation.startsWith('Delete') ? { status: 403, code: 'AccessDenied', message: 'not yours' } : undefined,
    )
    const refused = await run('jobs', 'delete', jobId, 'nobody')
    expect(refused.code).toBe(1)
    expect(refused.output).toMatch(
      /secret: is not erased: its files could not be removed \(S3: AccessDenied: not yours/,
    )
    expect(refused.output).toContain('nobody: there is no such job')
    expect(refused.output).toContain('0 jobs erased')
    expect(await json('jobs', 'show', jobId)).toMatchObject({ reason: null, deliveries: [{ status: 'Completed' }] })
    s3.fail(() => undefined)
    expect((await run('jobs', 'delete', jobId)).output).toBe('1 job erased: result, metadata and bodies\n')
    expect([...s3.objects.keys()].filter((key) => key.includes(jobId))).toEqual([])
    expect(await json('jobs', 'show', jobId)).toMatchObject({ reason: { code: 'erased' }, record: null })
  })

  it.each([
    [['jobs'], 'jobs takes one of list, causes, show, add, retry, replay, delete'],
    [['jobs', 'retry'], 'jobs retry takes job ids, or options that say which: --state dead'],
    [['jobs', 'list', '--state', 'lost'], '--state takes one of expected, queued'],
    [['jobs', 'list', '--since', 'soon'], '--since takes a duration'],
    [['jobs', 'list', '--limit', '0'], '--limit takes a number'],
    [['jobs', 'list', '--refetch'], "Unknown option '--refetch'"],
    [['jobs', 'show', '../etc'], '../etc is no job id'],
    [['jobs', 'show'], 'jobs show takes one argument, a job id'],
    [['jobs', 'delete'], 'jobs delete takes job ids'],
    [['handle'], 'handle takes one argument'],
    [['handle', 'x.ts', '--sample', 'novel'], '--sample takes one of parse, '],
    [['handle', 'x.ts', '--sample', 'parse', '--job', 'a'], 'either --sample or --job'],
  ])('%j is wrong use, and told', async (args, message) => {
    const command = spawnReceiver(
      args,
      { SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key-123456789' },
      tempFolder(),
    )
    expect(await command.exited).toBe(2)
    expect(command.output()).toContain(message)
  })

  it('says so when there is no database', async () => {
    const env = { SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key-123456789' }
    const command = spawnReceiver(['jobs', 'list'], env, tempFolder())
    expect(await command.exited).toBe(1)
    expect(command.output()).toMatch(/there is no database .*receiver\.db: has the service run here/)
  })
})

describe('handle', () => {
  it('runs a handler on a sample of every kind, and on a saved result', async () => {
    const folder = tempFolder()
    const file = join(folder, 'handler.mjs')
    writeFileSync(
      file,
      'export default async (result, { log }) => { if (result.status !== "Completed") throw new Error(result.reason); log.info({ kind: (await result.job()).type }, "seen") }',
    )
    const parse = spawnReceiver(['handle', file, '--sample', 'parse-url'])
    expect(await parse.exited).toBe(0)
    expect(parse.output()).toMatch(/^Parse [0-9a-f-]{36}: taken \(\d+ ms\)$/m)
    expect(parse.lines).toMatchObject([{ msg: 'seen', kind: 'Parse' }])
    const failed = spawnReceiver(['handle', file, '--sample', 'failed', '--json'])
    expect(await failed.exited).toBe(1)
    expect(JSON.parse(failed.output())).toMatchObject({ outcome: 'retry', reason: 'The document could not be read' })

    const { reducto, deliver, run } = await start()
    await deliver(reducto.addJob({ id: 'saved', kind: 'extract' }))
    expect((await run('handle', file, '--job', 'saved')).output).toMatch(/^Extract saved: taken/m)
    const given = join(folder, 'results', 'given-up')
    mkdirSync(given, { recursive: true })
    const gave_up = { code: 'no_result', message: 'it has no result' }
    writeFileSync(join(given, 'record.json'), JSON.stringify({ ...recordOf('given-up'), gave_up }))
    const givenUp = spawnReceiver(
      ['handle', file, '--job', 'given-up'],
      testEnv(folder, await testReducto(), newSecret()),
    )
    expect(await givenUp.exited).toBe(1)
    expect(givenUp.output()).toContain('the job given-up was given up, and has no result: it has no result')
    expect(await run('handle', file, '--job', 'nobody')).toMatchObject({
      code: 1,
      output: expect.stringContaining('there is no saved result of nobody'),
    })
  })

  it('walks a large result in bounded memory', async () => {
    const folder = tempFolder()
    const saved = join(folder, 'results', 'large')
    mkdirSync(saved, { recursive: true })
    // Small objects, which take ten times their text when they are parsed.
    const chunk = JSON.stringify({ content: 'c', blocks: Array.from({ length: 1_000 }, () => ({ n: [1, 2, 3, 4] })) })
    const CHUNKS = 1_500
    const file = openSync(join(saved, 'job.json'), 'w')
    writeSync(file, `{"result":{"result":{"type":"full","chunks":[${chunk}`)
    for (let index = 1; index < CHUNKS; index++) writeSync(file, `,${chunk}`)
    const bytes = writeSync(file, '],"ocr":null}}}')
    closeSync(file)
    writeFileSync(join(saved, 'files.jsonl'), '')
    const job = { path: 'job.json', bytes }
    writeFileSync(join(saved, 'record.json'), JSON.stringify(recordOf('large', { job })))
    const env = { ...testEnv(folder, await testReducto(), newSecret()), NODE_OPTIONS: '--max-old-space-size=64' }
    const walk = spawnReceiver(['handle', WALKER, '--job', 'large'], env)
    expect(await walk.exited, walk.output()).toBe(0)
    expect(walk.lines).toMatchObject([{ msg: 'walked', chunks: CHUNKS }])
  })

  it('a handler that cannot be loaded is a wrong setting, before anything listens', async () => {
    const folder = tempFolder()
    const file = join(folder, 'handler.ts')
    writeFileSync(file, 'export enum Colour { Red }\nexport default () => {}\n')
    const reducto = await testReducto()
    const service = spawnReceiver(['serve'], { ...testEnv(folder, reducto, newSecret()), HANDLER: file })
    expect(await service.exited).toBe(78)
    expect(service.output()).toMatch(/HANDLER: .*handler\.ts:1: .*enum/)
    expect(service.output()).toContain('write a const object')
    expect(service.lines.some(isReady)).toBe(false)
  })

  it('the demo hands its results to HANDLER', async () => {
    const file = join(tempFolder(), 'handler.mjs')
    writeFileSync(file, 'export default () => { process.stdout.write("called\\n") }')
    const demo = spawnReceiver(['demo', '--once'], { HANDLER: file })
    expect(await demo.exited).toBe(0)
    expect(demo.output().match(/^called$/gm)!.length).toBe(9)
    expect(demo.output()).toContain(`Each saved result is handed to ${file}`)
  })
})
